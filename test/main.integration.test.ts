import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** Makes a module that sends a signal as soon as something imports `rxjs`, which is long before the service is loaded. */
function signalling(signal: string): string {
  const hooks = `export const resolve = (specifier, context, next) => {
    if (specifier === 'rxjs') process.kill(process.pid, '${signal}');
    return next(specifier, context);
  };`;
  const url = `data:text/javascript,${encodeURIComponent(hooks)}`;
  return `data:text/javascript,${encodeURIComponent(`import { register } from 'node:module'; register(${JSON.stringify(url)});`)}`;
}

test.each(['SIGTERM', 'SIGINT'])('%s is not lost while the service is being loaded: exit 0', async (signal) => {
  const child = spawn(process.execPath, ['--import', signalling(signal), MAIN], {
    env: { REDIS_URL: 'memory:', HOST: '127.0.0.1', PORT: '0' },
    stdio: 'ignore',
  });
  const [code, killedBy] = (await once(child, 'exit')) as [number | null, string | null];
  expect({ code, killedBy }).toEqual({ code: 0, killedBy: null });
});
