// Tests the Dockerfile where there is no Docker engine: `node test/dockerfile.mjs`.
//
// It reads the Dockerfile itself. Each stage gets an empty directory as its file system, in which the stage's steps are carried
// out as they are written; `COPY --from` copies from stage to stage, and .dockerignore is honoured. It cannot show the base image:
// node and npm are those of PATH, and CI runs it with the image's version of Node. An instruction that it does not know is an error.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CONTEXT = fileURLToPath(new URL('..', import.meta.url));
const IMAGE = 'node:24-slim';
/** What `USER node` is in the official images. */
const NODE_UID = 1000;
const START_TIMEOUT_MS = 20_000;

console.log(`${IMAGE}, shown with Node ${process.versions.node}`);
const work = mkdtempSync(join(tmpdir(), 'dockerfile-'));
// A container's user may look around in it.
chmodSync(work, 0o755);
let service;
try {
  const image = build(parse(readFileSync(join(CONTEXT, 'Dockerfile'), 'utf8')));
  checkDependencies(image);
  await checkProcess(image);
  console.log('Dockerfile: ok');
} finally {
  service?.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
}

/** The Dockerfile's instructions, `[name, rest]`, with continued lines joined. */
function parse(text) {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const joined = lines.join('\n').replace(/\\\n\s*/g, '');
  return joined.split('\n').map((line) => {
    const [, name, rest] = /^\s*(\w+)\s+(.*)$/.exec(line) ?? assert.fail(`not an instruction: ${line}`);
    return [name.toUpperCase(), rest.trim()];
  });
}

/** Carries all the steps out; returns the last stage. */
function build(instructions) {
  const stages = [];
  for (const [name, rest] of instructions) {
    console.log(`${name} ${rest}`);
    if (name === 'FROM') stages.push(from(rest, stages));
    else step(stages.at(-1) ?? assert.fail('the first instruction is not FROM'), name, rest, stages);
  }
  return stages.at(-1);
}

function from(rest, stages) {
  const [, base, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? assert.fail(`FROM ${rest}`);
  const before = stages.find((stage) => stage.name === base);
  const root = join(work, String(stages.length));
  mkdirSync(root);
  if (before) {
    cpSync(before.root, root, { recursive: true, verbatimSymlinks: true });
    return { ...before, name, root, env: { ...before.env } };
  }
  assert.equal(base, IMAGE, 'stages begin with the image or with another stage');
  return { name, root, workdir: '/', env: {}, user: 'root', exposed: [] };
}

function step(stage, name, rest, stages) {
  switch (name) {
    case 'WORKDIR':
      stage.workdir = resolve(stage.workdir, rest);
      mkdirSync(inside(stage, '.'), { recursive: true });
      break;
    case 'ENV':
      for (const [, key, quoted, plain] of rest.matchAll(/(\w+)=(?:"([^"]*)"|(\S*))/g)) stage.env[key] = quoted ?? plain;
      break;
    case 'COPY':
      copy(stage, rest, stages);
      break;
    case 'RUN': {
      const { status, error } = spawnSync('sh', ['-c', rest], {
        cwd: inside(stage, '.'),
        env: environment(stage),
        stdio: 'inherit',
      });
      if (error) throw error;
      assert.equal(status, 0, `RUN ${rest}`);
      break;
    }
    case 'USER':
      stage.user = rest;
      break;
    case 'EXPOSE':
      stage.exposed.push(rest);
      break;
    case 'HEALTHCHECK':
      stage.healthcheck = execForm(/\bCMD\s+(.*)$/.exec(rest)?.[1] ?? assert.fail(`HEALTHCHECK ${rest}`));
      break;
    case 'ENTRYPOINT':
      stage.entrypoint = execForm(rest);
      break;
    case 'CMD':
      stage.cmd = execForm(rest);
      break;
    default:
      assert.fail(`this script does not know ${name}`);
  }
}

function execForm(text) {
  assert.match(text, /^\[/, `not the exec form, so a shell would stand between: ${text}`);
  return JSON.parse(text);
}

/** A path of the stage as a path of this machine. */
function inside({ root, workdir }, path) {
  return join(root, resolve(workdir, path));
}

/** What a container would have, and nothing of this process's own settings but the way to its tools and registry. */
function environment({ env }, more = {}) {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(PATH|HOME|TMPDIR|npm_config_\w+|\w+_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name),
  );
  return { ...Object.fromEntries(kept), ...env, ...more };
}

function copy(stage, rest, stages) {
  const words = rest.split(/\s+/);
  const options = words.filter((word) => word.startsWith('--'));
  const [fromOption] = options;
  assert.ok(options.length <= 1 && (fromOption ?? '--from=').startsWith('--from='), `COPY ${rest}`);
  const name = fromOption?.slice('--from='.length);
  const source = stages.find((candidate) => name !== undefined && candidate.name === name);
  assert.ok(name === undefined || source, `no stage before is called ${name}`);
  const paths = words.filter((word) => !word.startsWith('--'));
  const destination = paths.pop();
  const isDirectory = paths.length > 1 || /(^|\/)\.{0,2}$/.test(destination);
  for (const path of paths) {
    const at = source ? join(source.root, resolve('/', path)) : join(CONTEXT, path);
    assert.ok(source || isSent(path), `${path} is kept out by .dockerignore`);
    assert.ok(existsSync(at), `COPY ${path}: not found`);
    // Of a directory, its contents are copied.
    const to = isDirectory && !statSync(at).isDirectory() ? join(destination, basename(path)) : destination;
    const target = inside(stage, to);
    mkdirSync(dirname(target), { recursive: true });
    const filter = (file) => source !== undefined || isSent(file.slice(CONTEXT.length));
    cpSync(at, target, { recursive: true, verbatimSymlinks: true, filter });
  }
}

/** Whether .dockerignore lets a path of the context through: the last pattern that fits it, or a directory above it, decides. */
function isSent(path) {
  const file = join(CONTEXT, '.dockerignore');
  const patterns = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const prefixes = parts.map((_, at) => parts.slice(0, at + 1).join('/'));
  let sent = true;
  for (const pattern of patterns.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
    const text = pattern.replace(/^!/, '').replace(/^\/|\/$/g, '');
    const source = text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*\*\/?|\*|\?/g, (wild) => (wild.startsWith('**') ? '.*' : wild === '*' ? '[^/]*' : '[^/]'));
    if (prefixes.some((prefix) => new RegExp(`^${source}$`).test(prefix))) sent = pattern.startsWith('!');
  }
  return sent;
}

/** Every package that runs is there, as locked, and no other. */
function checkDependencies(image) {
  const { packages } = JSON.parse(readFileSync(join(CONTEXT, 'package-lock.json'), 'utf8'));
  const present = installed(inside(image, '.'), 'node_modules');
  const locked = Object.keys(packages).filter((path) => path !== '' && !packages[path].dev);
  const needed = locked.filter((path) => !packages[path].optional && !packages[path].devOptional && !packages[path].peer);
  const extra = present.filter((path) => !locked.includes(path));
  const missing = needed.filter((path) => !present.includes(path));
  assert.deepEqual({ extra, missing }, { extra: [], missing: [] }, 'packages in the final stage');
  for (const path of present) assert.equal(version(join(inside(image, '.'), path)), packages[path].version, path);
  console.log(`${present.length} packages, for production only`);
}

/** The packages under a directory, as package-lock.json calls them. */
function installed(root, modules) {
  if (!existsSync(join(root, modules))) return [];
  const names = readdirSync(join(root, modules)).filter((name) => !name.startsWith('.'));
  const scoped = names.flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(root, modules, name)).map((inner) => `${name}/${inner}`) : [name],
  );
  return scoped.flatMap((name) => [join(modules, name), ...installed(root, join(modules, name, 'node_modules'))]);
}

function version(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).version;
}

/** It starts, is healthy, stops when asked to, and then is no longer healthy. */
async function checkProcess(image) {
  assert.notEqual(image.user, 'root', 'the service runs as root');
  assert.deepEqual(image.exposed, ['8080']);
  assert.equal(image.env.NODE_ENV, 'production');
  const port = await freePort();
  const options = {
    cwd: inside(image, '.'),
    env: environment(image, { REDIS_URL: 'memory:', HOST: '127.0.0.1', PORT: String(port) }),
    ...identity(),
  };
  const [command, ...args] = [...(image.entrypoint ?? []), ...(image.cmd ?? [])];
  service = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(service, 'exit');
  await Promise.race([logged(service.stdout, 'listening'), failed(exited), late()]);
  const isHealthy = () => spawnSync(image.healthcheck[0], image.healthcheck.slice(1), options).status === 0;
  assert.ok(isHealthy(), 'HEALTHCHECK fails while the service runs');
  console.log(`running on port ${port}${options.uid === undefined ? '' : ` as user ${options.uid}`}, healthy`);
  service.kill('SIGTERM');
  assert.deepEqual(await Promise.race([exited, late()]), [0, null], 'exit code and signal after SIGTERM');
  assert.ok(!isHealthy(), 'HEALTHCHECK passes though nothing runs');
  console.log('SIGTERM: exit code 0');
}

/** The image's user, where this process may become it and that user may run this machine's node. */
function identity() {
  const user = { uid: NODE_UID, gid: NODE_UID };
  return process.getuid?.() === 0 && spawnSync('node', ['--version'], { ...user, cwd: '/' }).status === 0 ? user : {};
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function logged(stream, message) {
  for await (const line of createInterface(stream)) {
    if (!line.includes(`"msg":"${message}"`)) continue;
    stream.resume();
    return;
  }
  throw new Error(`the service ended before it logged "${message}"`);
}

async function failed(exited) {
  const [code] = await exited;
  throw new Error(`the service ended with ${code} before it listened`);
}

function late() {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`nothing came for ${START_TIMEOUT_MS} ms`)), START_TIMEOUT_MS).unref();
  });
}
