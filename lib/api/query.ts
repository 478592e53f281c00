/** The first value of a query parameter, whose name is compared without regard to case. `names` are in lower case. */
export function findQuery(query: URLSearchParams, ...names: string[]): string | undefined {
  for (const [name, value] of query) if (names.includes(name.toLowerCase())) return value;
  return undefined;
}
