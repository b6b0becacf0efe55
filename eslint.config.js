import neostandard from 'neostandard'

const ignores = ['dist/**', '.build/**', 'coverage/**']

export default [
  ...neostandard({ ts: true, ignores }),
  {
    files: ['**/*.ts', '**/*.tsx', '**/*.js'],
    rules: {
      // Templates and patterns that are longer cannot be broken without changing what they say.
      '@stylistic/max-len': ['error', {
        code: 120, tabWidth: 2, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true
      }]
    }
  },
  {
    // What a model wrote is text: nothing may make markup of it.
    files: ['src/inspector/**'],
    rules: {
      'no-restricted-syntax': ['error',
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'Show text as text.' },
        { selector: 'MemberExpression[property.name=/^(inner|outer)HTML$/]', message: 'Show text as text.' }
      ]
    }
  }
]
