import neostandard from 'neostandard'

const ignores = ['dist/**', '.build/**', 'coverage/**']

export default [
  ...neostandard({ ts: true, ignores }),
  {
    files: ['**/*.ts', '**/*.js'],
    rules: {
      // Templates and patterns that are longer cannot be broken without changing what they say.
      '@stylistic/max-len': ['error', {
        code: 120, tabWidth: 2, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true
      }]
    }
  }
]
