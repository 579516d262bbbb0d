#!/usr/bin/env node

// A signal that comes before its handler is lost: as process 1, as in a container, a process has no default for SIGTERM. So the handlers come first, and
// all that takes time to load is imported behind them.

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Until there is something to end, nothing is lost by ending at once. */
let stop = (): void => process.exit(0);

/** The first signal asks, the second insists. */
for (const [signal, code] of Object.entries(SIGNALS)) {
  process.on(signal, () => {
    for (const again of Object.keys(SIGNALS)) process.removeAllListeners(again).on(again, () => process.exit(code));
    stop();
  });
}

const { run } = await import('./command.js');
run(process.argv.slice(2), (stopService) => {
  stop = stopService;
});
