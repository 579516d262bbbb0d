// A loader that has every function of the built service report its calls: `called(file, name, id)`, a global.
import ts from 'typescript';

const BUILT = new URL('../../../dist/', import.meta.url).href;

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!url.startsWith(BUILT)) return loaded;
  return { ...loaded, source: reporting(url.slice(BUILT.length).replace(/\.js$/, '.ts'), String(loaded.source)) };
}

function reporting(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  const { transformed } = ts.transform(source, [
    ({ factory }) => {
      const call = (node) =>
        factory.createCallExpression(
          factory.createIdentifier('called'),
          undefined,
          [file, nameOf(node), String(node.pos)].map((each) => factory.createStringLiteral(each)),
        );
      const visit = (node) => {
        const inner = ts.visitEachChild(node, visit, undefined);
        if (!ts.isFunctionLike(node) || node.body === undefined) return inner;
        const body = ts.isBlock(inner.body)
          ? factory.createBlock([factory.createExpressionStatement(call(node)), ...inner.body.statements], true)
          : factory.createParenthesizedExpression(factory.createComma(call(node), inner.body));
        return withBody(factory, inner, body);
      };
      return (root) => ts.visitEachChild(root, visit, undefined);
    },
  ]);
  return ts.createPrinter().printFile(transformed[0]);
}

function withBody(factory, node, body) {
  if (ts.isArrowFunction(node)) {
    return factory.updateArrowFunction(
      node,
      node.modifiers,
      undefined,
      node.parameters,
      undefined,
      node.equalsGreaterThanToken,
      body,
    );
  }
  if (ts.isFunctionDeclaration(node)) {
    return factory.updateFunctionDeclaration(
      node,
      node.modifiers,
      node.asteriskToken,
      node.name,
      undefined,
      node.parameters,
      undefined,
      body,
    );
  }
  if (ts.isFunctionExpression(node)) {
    return factory.updateFunctionExpression(
      node,
      node.modifiers,
      node.asteriskToken,
      node.name,
      undefined,
      node.parameters,
      undefined,
      body,
    );
  }
  if (ts.isConstructorDeclaration(node)) return factory.updateConstructorDeclaration(node, node.modifiers, node.parameters, body);
  if (ts.isGetAccessor(node)) {
    return factory.updateGetAccessorDeclaration(node, node.modifiers, node.name, node.parameters, undefined, body);
  }
  if (ts.isSetAccessor(node)) return factory.updateSetAccessorDeclaration(node, node.modifiers, node.name, node.parameters, body);
  return factory.updateMethodDeclaration(
    node,
    node.modifiers,
    node.asteriskToken,
    node.name,
    undefined,
    undefined,
    node.parameters,
    undefined,
    body,
  );
}

/** What stands around a function and has a name, from outside in: `Hub.receive`. A callback without a name is part of what is around it. */
function nameOf(node) {
  const names = [];
  for (let each = node; each !== undefined; each = each.parent) {
    if (ts.isConstructorDeclaration(each)) names.unshift('constructor');
    else if (isNamed(each) && each.name !== undefined) names.unshift(each.name.getText());
  }
  return names.join('.');
}

function isNamed(node) {
  if (ts.isVariableDeclaration(node) || ts.isPropertyAssignment(node))
    return node.initializer !== undefined && holdsFunction(node);
  return ts.isClassLike(node) || ts.isMethodDeclaration(node) || ts.isAccessor(node) || ts.isPropertyDeclaration(node)
    ? true
    : ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node);
}

/** A variable or a member that is a function, or at the top of a file, whatever it is. */
function holdsFunction(node) {
  const isAtTop = ts.isVariableDeclaration(node) && ts.isSourceFile(node.parent.parent.parent);
  return isAtTop || ts.isFunctionLike(node.initializer);
}
