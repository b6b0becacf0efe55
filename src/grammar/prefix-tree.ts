/**
 * Texts as a tree of their characters, and the grammars that follow it. Built without recursion: texts may be as long
 * as a request. Deep trees are cut into rules, since the matcher reads nested groups by recursion.
 */
import { choice, sequence, text, type Expression, type Rules } from './ebnf.js'

/** Branchings that one rule holds inside each other. */
const maxNested = 16

/** What some texts that begin alike go on with. */
export interface PrefixNode {
  /** By the next character, a code point. */
  readonly children: Map<string, PrefixNode>
  /** Whether one of the texts ends here. */
  ends: boolean
}

const newNode = (): PrefixNode => ({ children: new Map(), ends: false })

/**
 * The tree of some texts.
 * @param stops whether a text is not followed beyond a character, which then is none of its own
 * @returns its nodes, parents first
 */
export function prefixTree (
  texts: Iterable<string>, stops: (character: string) => boolean = () => false
): PrefixNode[] {
  const nodes = [newNode()]
  for (const one of texts) {
    let [node] = nodes as [PrefixNode]
    let stopped = false
    for (const character of one) {
      stopped = stops(character)
      if (stopped) break
      node = childOf(node, character, nodes)
    }
    node.ends ||= !stopped
  }
  return nodes
}

/** The node behind a character, which is made where there is none. */
function childOf (node: PrefixNode, character: string, nodes: PrefixNode[]): PrefixNode {
  const found = node.children.get(character)
  if (found) return found
  const made = newNode()
  node.children.set(character, made)
  nodes.push(made)
  return made
}

/** A node's grammar: a text, then perhaps more. */
interface Written { readonly lead: string, readonly rest: Expression | null, readonly height: number }

const asExpression = ({ lead, rest }: Written): Expression =>
  rest === null ? text(lead) : lead === '' ? rest : sequence(text(lead), rest)

/** Characters beyond ASCII may begin with the same byte, so options that begin with them are rules. */
const asOption = (rules: Rules, character: string, expression: Expression): Expression =>
  character <= '\x7f' ? expression : rules.separate(expression)

/** Cuts off a rule where expressions would be nested too deep. */
function cut (rules: Rules, expression: Expression, height: number): { rest: Expression, height: number } {
  return height < maxNested ? { rest: expression, height } : { rest: rules.separate(expression), height: 0 }
}

/**
 * The grammar of a tree.
 * @param nodes parents first
 * @param write what comes at a node
 */
function fromLeaves (
  nodes: readonly PrefixNode[], write: (node: PrefixNode, of: (child: PrefixNode) => Written) => Written
): Expression {
  const written = new Map<PrefixNode, Written>()
  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index]!
    written.set(node, write(node, child => written.get(child)!))
    for (const child of node.children.values()) written.delete(child)
  }
  return asExpression(written.get(nodes[0]!)!)
}

/** One of some texts: no two options begin alike. */
export function oneText (rules: Rules, texts: readonly string[]): Expression {
  return fromLeaves(prefixTree(texts), ({ children, ends }, of) => {
    const after = [...children].map(([character, child]) => {
      const { lead, rest, height } = of(child)
      return { character, lead: character + lead, rest, height }
    })
    if (after.length === 0) return { lead: '', rest: null, height: 0 }
    if (after.length === 1 && !ends) return after[0]!
    const options = after.map(one => asOption(rules, one.character, asExpression(one)))
    const height = 1 + Math.max(...after.map(one => one.height))
    return { lead: '', ...cut(rules, choice(...(ends ? [text('')] : []), ...options), height) }
  })
}

/**
 * What is none of some texts, character by character.
 * @param nodes the tree of those texts
 * @param leave what may follow at a node whose next characters are none of `plain`; `ends` is whether a text ends there
 */
export function noneOf (
  rules: Rules, nodes: readonly PrefixNode[], leave: (plain: readonly string[], ends: boolean) => readonly Expression[]
): Expression {
  return fromLeaves(nodes, ({ children, ends }, of) => {
    const after = [...children].map(([character, child]) => ({ character, ...of(child) }))
    const options = after.map(one =>
      asOption(rules, one.character, sequence(text(one.character), asExpression(one))))
    const height = 1 + Math.max(0, ...after.map(one => one.height))
    return { lead: '', ...cut(rules, choice(...leave([...children.keys()], ends), ...options), height) }
  })
}
