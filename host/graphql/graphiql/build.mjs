// Bundles the page into dist/. Scripts, styles and fonts are compressed: they become a part of the server's program,
// and browsers unpack them.

import { readdirSync, readFileSync, rmSync, copyFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const common = {
  bundle: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  format: 'iife',
  legalComments: 'none',
  logLevel: 'error',
  minify: true,
  outdir: 'dist',
};

rmSync('dist', { recursive: true, force: true });
await build({ ...common, entryPoints: ['page.js'], loader: { '.ttf': 'file' }, assetNames: '[name]' });
await build({
  ...common,
  entryPoints: {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  },
});
for (const file of readdirSync('dist')) {
  writeFileSync(`dist/${file}.gz`, gzipSync(readFileSync(`dist/${file}`), { level: 9 }));
  rmSync(`dist/${file}`);
}
// Last, so that a build that was interrupted is seen to be one.
copyFileSync('index.html', 'dist/index.html');
