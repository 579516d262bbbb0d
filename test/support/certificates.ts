import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate authority made for a test, and a server's certificate from it for 127.0.0.1. */
export interface TestCertificates {
  readonly ca: string;
  /** Arguments of a redis-server that takes TLS alone. */
  tlsArgs(port: number): readonly string[];
  remove(): Promise<void>;
}

const run = promisify(execFile);

export async function makeCertificates(): Promise<TestCertificates> {
  const dir = await mkdtemp(join(tmpdir(), 'chat-api-tls-'));
  const at = (name: string) => join(dir, name);
  const [ca, caKey, key, request, certificate] = ['ca.crt', 'ca.key', 'redis.key', 'redis.csr', 'redis.crt'].map(at) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-days', '1', '-subj', '/CN=test CA']);
  await run('openssl', ['req', ...newKey, '-keyout', key, '-out', request, '-subj', '/CN=redis']);
  await writeFile(at('san'), 'subjectAltName=IP:127.0.0.1');
  const signed = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '1', '-extfile', at('san')];
  await run('openssl', ['x509', '-req', '-in', request, '-out', certificate, ...signed]);
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', ca, '--tls-auth-clients', 'no'];
  return {
    ca,
    tlsArgs: (port) => ['--port', '0', '--tls-port', String(port), '--tls-replication', 'yes', '--tls-cluster', 'yes', ...files],
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
