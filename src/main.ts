#!/usr/bin/env node

// A signal that arrives before its handler is lost: process 1, as in a container, has no default action for SIGTERM. So the handlers are installed
// first, and modules that take time to load are imported afterwards.

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Before the service runs, a signal exits at once. */
let stop = (): void => process.exit(0);

/** The first signal stops the service gracefully, the second exits at once. */
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
