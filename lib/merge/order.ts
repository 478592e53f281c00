// Sorting for struct-of-arrays: the order of indexes instead of moved elements. A radix sort, because a comparator
// callback costs about a second per million and the engine's sort copies typed arrays that have one.

const digitBits = 11;
const digitCount = 2 ** digitBits;

/**
 * The indexes of `keys` in ascending order of their keys, equal keys in index order. Keys are non-negative integers
 * up to 2^53. Takes 8 bytes an element on top of the input.
 */
export function ascendingOrder(keys: Float64Array): Uint32Array {
  let order = new Uint32Array(keys.length);
  for (let index = 0; index < order.length; index++) order[index] = index;
  const { isSorted, largest } = inspect(keys);
  if (isSorted) return order;

  let target = new Uint32Array(keys.length);
  for (let divisor = 1; divisor <= largest; divisor *= digitCount) {
    const positions = digitPositions(keys, divisor);
    for (const index of order) {
      const digit = Math.floor((keys[index] ?? 0) / divisor) % digitCount;
      const position = positions[digit] ?? 0;
      positions[digit] = position + 1;
      target[position] = index;
    }
    [order, target] = [target, order];
  }
  return order;
}

function inspect(keys: Float64Array): { isSorted: boolean; largest: number } {
  let isSorted = true;
  let largest = 0;
  for (const key of keys) {
    if (key < largest) isSorted = false;
    else largest = key;
  }
  return { isSorted, largest };
}

/** For each value of the digit, where its first element goes. */
function digitPositions(keys: Float64Array, divisor: number): Uint32Array {
  const positions = new Uint32Array(digitCount);
  for (const key of keys) {
    const digit = Math.floor(key / divisor) % digitCount;
    positions[digit] = (positions[digit] ?? 0) + 1;
  }
  let start = 0;
  for (let digit = 0; digit < digitCount; digit++) {
    const count = positions[digit] ?? 0;
    positions[digit] = start;
    start += count;
  }
  return positions;
}
