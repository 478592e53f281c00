// The rules that a reviewer would otherwise have to repeat: strict types, the direction of imports
// between layers (ARCHITECTURE.md, "Layers"), and the determinism fence around the orchestrators.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const zodDefault = {
  selector: "ImportDeclaration[source.value='zod'] > ImportSpecifier[imported.name='z']",
  message: "import * as z from 'zod': the object z brings every locale along, five times the bytes.",
};

/** Forbids imports whose path matches one of the groups; `why` is what the author reads. */
const forbid = (why, group, paths = []) => ({
  'no-restricted-imports': ['error', { paths, patterns: [{ group, message: why }] }],
});

const ioBuiltins = [
  'fs',
  'fs/promises',
  'http',
  'https',
  'net',
  'child_process',
  'worker_threads',
  'os',
  'path',
].flatMap((name) => [
  {
    name: `node:${name}`,
    message:
      'lib is pure: take a port instead (only lib/storage/azure, lib/azure and lib/compute/qemu do I/O).',
  },
]);

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.lifeboat/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/require-await': 'off',
      'no-restricted-syntax': ['error', zodDefault],
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 14],
      'max-params': ['error', 5],
      eqeqeq: 'error',
    },
  },
  {
    files: ['lib/**/*.ts'],
    ignores: ['lib/storage/azure/**', 'lib/azure/**', 'lib/compute/qemu/**'],
    rules: forbid(
      'lib is pure and at the bottom: no Azure SDK, no Functions, nothing from the layers above.',
      [
        '@azure/*',
        'durable-functions',
        '**/functions/**',
        '**/orchestrators/**',
        '**/agent/**',
        '**/cli/**',
        '**/local/**',
        '**/storage/azure/**',
      ],
      ioBuiltins,
    ),
  },
  {
    files: ['lib/storage/azure/**/*.ts', 'lib/azure/**/*.ts', 'lib/compute/qemu/**/*.ts'],
    rules: forbid('The adapters know what they adapt and the ports, nothing above.', [
      '@azure/functions*',
      'durable-functions',
      '**/functions/**',
      '**/orchestrators/**',
      '**/agent/**',
      '**/cli/**',
      '**/local/**',
    ]),
  },
  {
    files: ['orchestrators/**/*.ts'],
    rules: {
      ...forbid(
        'An orchestrator is replayed: it may import durable-functions, its own folder and pure lib only.',
        ['node:*', '@azure/*', '**/functions/**', '**/storage/**', '**/agent/**', '**/cli/**', '**/local/**'],
      ),
      'no-restricted-globals': [
        'error',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
        'process',
        'performance',
        'crypto',
        'console',
        'Buffer',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Use context.df.currentUtcDateTime.' },
        { object: 'Math', property: 'random', message: 'Take random values from an activity.' },
      ],
      'no-restricted-syntax': [
        'error',
        zodDefault,
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'Use context.df.currentUtcDateTime.',
        },
        { selector: 'AwaitExpression', message: 'Orchestrators yield tasks; they never await.' },
        { selector: ':function[async=true]', message: 'Orchestrators are generators, never async.' },
      ],
    },
  },
  {
    files: ['functions/**/*.ts'],
    rules: forbid('The edge uses orchestrators and lib; the host and the source side are other programs.', [
      '**/local/**',
      '**/agent/**',
      '**/cli/**',
    ]),
  },
  {
    files: ['agent/**/*.ts', 'cli/**/*.ts'],
    rules: forbid('The source side uses lib only.', [
      '**/functions/**',
      '**/orchestrators/**',
      '**/local/**',
    ]),
  },
  {
    // A source is read. The one place that writes its disks, in a failback, is a module of its own, and one caller has it.
    files: ['agent/**/*.ts'],
    ignores: ['agent/failback/**', 'agent/daemon/failback.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/functions/**', '**/orchestrators/**', '**/local/**'],
              message: 'The source side uses lib only.',
            },
            {
              group: ['**/failback/sourceDiskWriter*', '**/failback/swap*', '**/failback/vhdx/*'],
              message: 'Only a failback writes the disks of a source (agent/daemon/failback.ts).',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['agent/**/*.ts'],
    // The last two go on with journals of their own.
    ignores: [
      'agent/failback/sourceDiskWriter.ts',
      'agent/upload/copyCursor.ts',
      'agent/resync/comparisonJournal.ts',
    ],
    rules: {
      'no-restricted-syntax': [
        'error',
        zodDefault,
        {
          selector: 'Literal[value=/^(r[+]|rs[+]|a|a[+]|as|as[+])$/]',
          message:
            'Files that are there are opened for reading; agent/failback/sourceDiskWriter.ts is the exception.',
        },
        {
          selector: 'MemberExpression[property.name=/^O_(RDWR|WRONLY|APPEND)$/]',
          message:
            'Files that are there are opened for reading; agent/failback/sourceDiskWriter.ts is the exception.',
        },
      ],
    },
  },
  {
    files: ['local/**/*.ts'],
    rules: forbid('The host runs any app and knows nothing of this one.', [
      '**/functions/**',
      '**/orchestrators/**',
      '**/lib/**',
      '**/agent/**',
      '**/cli/**',
      '@azure/functions',
      'durable-functions',
    ]),
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      complexity: 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
);
