// Runs the built service in the network namespace that NAMESPACE names.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const child = spawn('ip', ['netns', 'exec', process.env.NAMESPACE, process.execPath, main], { stdio: 'inherit' });
child.once('exit', (code) => process.exit(code ?? 1));
