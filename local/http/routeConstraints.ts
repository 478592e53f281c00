// The inline constraints of ASP.NET route templates: `int`, `alpha`, `length(2,5)`, `regex(^a+$)`, …

/** True when the (decoded) value satisfies the constraint. */
export type RouteConstraint = (value: string) => boolean;

const isNumber = (value: string): boolean => /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value);

function isIntegerOf(bits: number): RouteConstraint {
  return (value) => {
    if (!/^[+-]?\d+$/.test(value)) return false;
    const integer = BigInt(value.replace('+', ''));
    return BigInt.asIntN(bits, integer) === integer;
  };
}

const plain: Record<string, RouteConstraint> = {
  int: isIntegerOf(32),
  long: isIntegerOf(64),
  bool: (value) => /^(true|false)$/i.test(value),
  datetime: (value) => !Number.isNaN(Date.parse(value)),
  decimal: isNumber,
  double: isNumber,
  float: isNumber,
  guid: (value) => /^(\{|\()?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}(\}|\))?$/i.test(value),
  alpha: (value) => /^[a-z]*$/i.test(value),
  required: (value) => value !== '',
};

const integersOf = (argument: string): number[] => argument.split(',').map(Number);

const parametric: Record<string, (argument: string) => RouteConstraint> = {
  length: (argument) => {
    const [least = 0, most = least] = integersOf(argument);
    return (value) => value.length >= least && value.length <= most;
  },
  minlength: (argument) => (value) => value.length >= Number(argument),
  maxlength: (argument) => (value) => value.length <= Number(argument),
  min: (argument) => (value) => isNumber(value) && Number(value) >= Number(argument),
  max: (argument) => (value) => isNumber(value) && Number(value) <= Number(argument),
  range: (argument) => {
    const [least = 0, most = 0] = integersOf(argument);
    return (value) => isNumber(value) && Number(value) >= least && Number(value) <= most;
  },
  regex: (argument) => {
    const pattern = new RegExp(argument, 'i');
    return (value) => pattern.test(value);
  },
};

/** Parses `int` or `length(2,5)`; throws Error for a constraint that does not exist. */
export function parseConstraint(text: string): RouteConstraint {
  const [, name = text, argument] = /^([a-z]+)(?:\((.*)\))?$/is.exec(text) ?? [];
  const constraint =
    argument === undefined ? plain[name.toLowerCase()] : parametric[name.toLowerCase()]?.(argument);
  if (constraint === undefined) throw new Error(`the constraint "${text}" is not known.`);
  return constraint;
}
