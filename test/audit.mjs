/**
 * Whether the packages that run in production have known weaknesses: `node test/audit.mjs`. Ends with 1 where they have. A registry
 * that does not answer such questions, as a mirror may not, is no weakness: then it says that nothing was checked.
 */
import { spawnSync } from 'node:child_process';

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
const { metadata, vulnerabilities = {}, error, message } = JSON.parse(stdout || '{}');

if (metadata === undefined) {
  console.log(`not checked: ${message ?? error?.summary ?? 'npm gave no answer'}`);
} else {
  const { vulnerabilities: counts, dependencies } = metadata;
  console.log(`${counts.total} known weaknesses in ${dependencies.prod} packages`);
  for (const { name, severity, range } of Object.values(vulnerabilities)) console.log(`${severity}: ${name} ${range}`);
  if (counts.total > 0) process.exitCode = 1;
}
