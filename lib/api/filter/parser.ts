// The OData filter language as far as Site Recovery's clients use it: comparisons, `and`, `or`, `not`, parentheses, `in`, and the
// functions contains, startswith and endswith. Names are compared without regard to case.
import { filterError, tokenize } from './lexer.ts';
import type { Token } from './lexer.ts';

export type Comparison = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'contains' | 'startswith' | 'endswith';
export type Literal = string | number | boolean | null;

export type Expression =
  | { kind: 'compare'; field: string; comparison: Comparison; literal: Literal; at: number }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'not'; of: Expression };

const limitDepth = 24;
const limitComparisons = 100;
const comparisons: readonly string[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'];
const functions: readonly string[] = ['contains', 'startswith', 'endswith'];
const constants = new Map<string, Literal>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  #comparisons = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  parse(): Expression {
    const expression = this.#or();
    const rest = this.#peek();
    if (rest.kind !== 'end') throw filterError(`"${rest.text}" is one word too many`, rest.at);
    return expression;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', text: '', at: 0 };
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  #isWord(word: string): boolean {
    const token = this.#peek();
    return token.kind === 'name' && token.text.toLowerCase() === word;
  }

  #expect(symbol: string): void {
    const token = this.#take();
    if (token.kind !== 'symbol' || token.text !== symbol)
      throw filterError(`"${symbol}" is missing`, token.at);
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#isWord('or')) {
      this.#take();
      left = { kind: 'or', left, right: this.#and() };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#unary();
    while (this.#isWord('and')) {
      this.#take();
      left = { kind: 'and', left, right: this.#unary() };
    }
    return left;
  }

  #unary(): Expression {
    const token = this.#peek();
    if (++this.#depth > limitDepth) throw filterError(`more than ${limitDepth} levels`, token.at);
    try {
      if (this.#isWord('not')) {
        this.#take();
        return { kind: 'not', of: this.#unary() };
      }
      if (token.kind === 'symbol' && token.text === '(') {
        this.#take();
        const inner = this.#or();
        this.#expect(')');
        return inner;
      }
      return this.#comparison();
    } finally {
      this.#depth--;
    }
  }

  #field(): Token {
    const token = this.#take();
    if (token.kind !== 'name')
      throw filterError(
        token.kind === 'end' ? 'a field is missing' : `a field is expected, not "${token.text}"`,
        token.at,
      );
    return token;
  }

  #literal(): Literal {
    const token = this.#take();
    if (token.kind === 'string' || token.kind === 'time') return token.text;
    if (token.kind === 'number') return Number(token.text);
    const constant = constants.get(token.text.toLowerCase());
    if (token.kind === 'name' && constant !== undefined) return constant;
    throw filterError(
      token.kind === 'end'
        ? 'a value is missing'
        : `a value is expected, not "${token.text}"; strings stand in '…'`,
      token.at,
    );
  }

  #compare(field: Token, comparison: Comparison, literal: Literal): Expression {
    if (++this.#comparisons > limitComparisons)
      throw filterError(`more than ${limitComparisons} comparisons`, field.at);
    return { kind: 'compare', field: field.text, comparison, literal, at: field.at };
  }

  #comparison(): Expression {
    const field = this.#field();
    if (functions.includes(field.text.toLowerCase())) return this.#function(field.text.toLowerCase());
    const operator = this.#take();
    const word = operator.text.toLowerCase();
    if (word === 'in') return this.#in(field);
    if (!comparisons.includes(word))
      throw filterError(
        `one of ${comparisons.join(', ')}, in is expected after "${field.text}"`,
        operator.at,
      );
    return this.#compare(field, word as Comparison, this.#literal());
  }

  #function(name: string): Expression {
    this.#expect('(');
    const field = this.#field();
    this.#expect(',');
    const literal = this.#literal();
    this.#expect(')');
    return this.#compare(field, name as Comparison, literal);
  }

  #in(field: Token): Expression {
    this.#expect('(');
    let any = this.#compare(field, 'eq', this.#literal());
    while (this.#peek().text === ',') {
      this.#take();
      any = { kind: 'or', left: any, right: this.#compare(field, 'eq', this.#literal()) };
    }
    this.#expect(')');
    return any;
  }
}

/** The expression that the text means. Throws `InvalidRequest` with the position of what is wrong. */
export const parseFilter = (text: string): Expression => new Parser(text).parse();
