// Preloaded into a server (`node --expose-gc --import`): answers any message of its parent with what lives in its memory.
process.on('message', () => {
  globalThis.gc();
  process.send(process.memoryUsage());
});
// The channel alone should not keep the process alive.
process.channel?.unref();
