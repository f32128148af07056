// A round: clients that deposit one after another, and a clock beside them.

import { setTimeout as sleep } from 'node:timers/promises';

import { choice, depositOf, generator } from './choice.mjs';
import { depositInto } from './store.mjs';

/** The smallest of sorted latencies that so many in a hundred do not exceed. */
const percentile = (latencies, percent) => latencies[Math.ceil((latencies.length * percent) / 100) - 1] ?? null;

/** Has clients deposit for as long as the spec says. */
export const run = async (store, spec) => {
  const choose = choice(spec.distribution, spec.accounts);
  const latencies = [];
  let [errors, firstError] = [0, null];
  let phase = 'warm-up';

  const work = async (number) => {
    const random = generator(spec.seed, number);
    while (phase !== 'over') {
      const [account, data] = [choose(random()), depositOf(random(), spec.payload_bytes)];
      const begun = process.hrtime.bigint();
      let failure = null;
      try {
        await depositInto(store, account, data);
      } catch (error) {
        failure = error;
      }
      // What was acknowledged within the time counts, whenever it began.
      if (phase !== 'measured') continue;
      if (failure === null) {
        latencies.push(Number((process.hrtime.bigint() - begun) / 1000n));
      } else {
        errors += 1;
        firstError ??= failure instanceof Error ? failure.message : String(failure);
      }
    }
  };

  const running = Promise.all(Array.from({ length: spec.clients }, (_, number) => work(number)));
  await sleep(spec.warm_up_seconds * 1000);
  const cpuBefore = process.cpuUsage();
  const begun = process.hrtime.bigint();
  phase = 'measured';
  await sleep(spec.seconds * 1000);
  phase = 'over';
  const elapsed = Number(process.hrtime.bigint() - begun) / 1e9;
  const { user, system } = process.cpuUsage(cpuBefore);
  await running;

  latencies.sort((a, b) => a - b);
  return {
    operations: latencies.length,
    errors,
    first_error: firstError,
    elapsed_seconds: elapsed,
    p50_us: percentile(latencies, 50),
    p99_us: percentile(latencies, 99),
    cpu_seconds: (user + system) / 1e6,
  };
};
