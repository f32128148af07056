// Which account comes next, and how much is put into it.

/** A generator of numbers from 0 up to 1: mulberry32, which is small and good enough for a choice of accounts. */
export const generator = (seed, client) => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(client + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
};

/** Chooses among accounts after a distribution: takes a random number, gives the number of an account. */
export const choice = (distribution, accounts) => {
  switch (distribution) {
    case 'uniform':
      return (random) => Math.floor(random * accounts);
    case 'hot':
      return () => 0;
    case 'zipf': {
      const sums = new Float64Array(accounts);
      let sum = 0;
      for (let rank = 1; rank <= accounts; rank += 1) sums[rank - 1] = sum += 1 / rank;
      return (random) => {
        const point = random * sum;
        let [low, high] = [0, accounts - 1];
        while (low < high) {
          const middle = (low + high) >>> 1;
          if (sums[middle] > point) high = middle;
          else low = middle + 1;
        }
        return low;
      };
    }
    default:
      throw new Error(`there is no distribution ${distribution}`);
  }
};

/** A deposit whose document has a size in bytes. */
export const depositOf = (random, bytes) => {
  const amount = 1 + Math.floor(random * 99);
  const empty = JSON.stringify({ amount, reference: '' }).length;
  return { amount, reference: 'r'.repeat(Math.max(0, bytes - empty)) };
};
