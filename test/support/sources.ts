import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const SIMULATION = fileURLToPath(new URL('../../simulation', import.meta.url));

export interface Import {
  readonly from: string;
  /** What it brings beside types; empty where it brings types alone. */
  readonly values: readonly string[];
}

export interface Source {
  /** Relative to src. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Every name in it but those of members. */
  readonly names: ReadonlySet<string>;
  /** What the file does or uses that has an effect outside it or an outcome that differs from run to run. */
  readonly impurities: readonly string[];
}

const IMPURE_NAMES: ReadonlySet<string> = new Set([
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'Promise', 'process', 'performance', 'crypto', 'console'],
  ...['fetch', 'globalThis', 'eval', 'require'],
  ...['asyncScheduler', 'asapScheduler', 'queueScheduler', 'animationFrameScheduler', 'firstValueFrom', 'lastValueFrom'],
]);

/** Not the name of a thing of one's own: the member of an object, of a class or of an interface. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    ((ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent)) && parent.name === node)
  );
}

function impurity(node: ts.Node): string | undefined {
  if (ts.isAwaitExpression(node) || node.kind === ts.SyntaxKind.AwaitKeyword) return 'await';
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async';
  if (ts.isNewExpression(node)) return /^new Date(\(\s*\))?$/.test(node.getText()) ? 'new Date()' : undefined;
  if (ts.isCallExpression(node)) return impureCall(node);
  if (ts.isPropertyAccessExpression(node)) return impureMember(node);
  return ts.isIdentifier(node) && IMPURE_NAMES.has(node.text) && !isMemberName(node) ? node.text : undefined;
}

function impureCall({ expression }: ts.CallExpression): string | undefined {
  if (expression.kind === ts.SyntaxKind.ImportKeyword) return 'import()';
  return expression.getText() === 'Date' ? 'Date()' : undefined;
}

function impureMember({ expression, name }: ts.PropertyAccessExpression): string | undefined {
  const access = `${expression.getText()}.${name.text}`;
  if (access === 'Date.now' || access === 'Math.random') return access;
  return ['then', 'nextTick'].includes(name.text) ? `.${name.text}` : undefined;
}

function importOf(node: ts.Node): Import | undefined {
  const isImport = ts.isImportDeclaration(node);
  if (!isImport && !ts.isExportDeclaration(node)) return undefined;
  const { moduleSpecifier } = node;
  if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return undefined;
  const { text: from } = moduleSpecifier;
  return { from, values: isImport ? importedValues(node) : exportedValues(node) };
}

function importedValues({ importClause }: ts.ImportDeclaration): readonly string[] {
  if (importClause === undefined) return ['side effects'];
  if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
  const { name, namedBindings } = importClause;
  return [...(name ? [name.text] : []), ...(namedBindings ? boundValues(namedBindings) : [])];
}

function exportedValues({ exportClause, isTypeOnly }: ts.ExportDeclaration): readonly string[] {
  if (isTypeOnly) return [];
  return exportClause === undefined ? ['*'] : boundValues(exportClause);
}

function boundValues(bindings: ts.NamedImportBindings | ts.NamedExportBindings): readonly string[] {
  if (ts.isNamespaceImport(bindings) || ts.isNamespaceExport(bindings)) return ['*'];
  return bindings.elements.filter(({ isTypeOnly }) => !isTypeOnly).map(({ name, propertyName }) => (propertyName ?? name).text);
}

export function examine(path: string, text: string): Source {
  const imports: Import[] = [];
  const impurities = new Set<string>();
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    const imported = importOf(node);
    if (imported) imports.push(imported);
    if (ts.isIdentifier(node) && !isMemberName(node)) names.add(node.text);
    const impure = impurity(node);
    if (impure !== undefined) impurities.add(impure);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true));
  return { path, text, imports, names, impurities: [...impurities] };
}

/** All of src, and the simulation, whose paths begin with `../simulation/`. */
export const sources: readonly Source[] = [SRC, SIMULATION].flatMap((root) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('.build'))
    .map((path) => examine(relative(SRC, join(root, path)), readFileSync(join(root, path), 'utf8'))),
);

/** The file of src that an import means; undefined for a package. */
export function fileOf({ path }: Source, { from }: Import): string | undefined {
  if (!from.startsWith('.')) return undefined;
  return relative(SRC, join(SRC, dirname(path), from)).replace(/\.js$/, '.ts');
}
