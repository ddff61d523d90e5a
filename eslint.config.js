import path from 'node:path';
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** The rooms of `src/`, the lowest first. A file may import from its own room and from those earlier in this list. */
const ROOMS = [
  'common',
  'api',
  'guards',
  'signals',
  'log',
  'buffer',
  'settings',
  'sink/schedule',
  'sink/adaptive',
  'sink/resilience',
  'sink/settlement',
  'sink/delivery',
  'sink',
  'shutdown',
  'stream/node',
  'stream/write',
  'stream/read',
  'stream',
  'controller',
  '.',
  'postgres/errors',
  'postgres/protocol',
  'postgres/sql',
  'postgres/connection',
  'postgres/encoding/dates',
  'postgres/encoding/text',
  'postgres/encoding/binary',
  'postgres/table',
  'postgres/merge',
  'postgres/rows',
  'postgres/imports',
  'postgres/isolation',
  'postgres/copy',
  'postgres/batch',
  'postgres/lanes',
  'postgres/consume',
  'postgres',
  'jetstream',
  'opentelemetry',
  'report/measure',
  'report/page',
  'report',
  'cli/start',
  'cli/common',
  'cli/values',
  'cli/args',
  'cli/server/conninfo',
  'cli/server/session',
  'cli/server/embedded',
  'cli/server',
  'cli/input/compression',
  'cli/input/files',
  'cli/input',
  'cli/detect/cells',
  'cli/detect',
  'cli/json',
  'cli/ndjson/values',
  'cli/records',
  'cli/csv',
  'cli/parquet',
  'cli/ndjson/rows',
  'cli/ndjson/copy',
  'cli/ndjson',
  'cli/rejects',
  'cli/table',
  'cli/live',
  'cli/report',
  'cli/write',
  'cli/load/reading',
  'cli/load',
  'cli/consume',
  'cli/query',
  'cli',
];
const filesOf = (room) => path.posix.join('src', room, '*.ts');
const zones = ROOMS.map((room, index) => ({
  target: filesOf(room),
  from: ROOMS.slice(index + 1).map(filesOf),
  message: 'A file imports from its own room and earlier ones only: see ROOMS in eslint.config.js.',
})).filter(({ from }) => from.length > 0);

export default defineConfig(
  globalIgnores(['dist', 'docs', 'coverage', 'node_modules']),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `value!` after a bound that the line above has checked is how noUncheckedIndexedAccess is lived with on hot paths.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      // Blank lines and comments count: they have to be read, too.
      'max-lines-per-function': ['error', 70],
      'no-restricted-syntax': [
        'error',
        {
          selector:
            "AssignmentExpression[left.type='MemberExpression'][right.type=/^(ArrowFunctionExpression|FunctionExpression)$/]",
          message:
            'V8 makes such a function in old space, where all that it refers to outlives every collection of young objects. Assign it to a constant first.',
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createNodeResolver({ extensionAlias: { '.js': ['.ts'] } })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones }],
      'import-x/no-cycle': 'error',
    },
  },
  {
    files: ['.ci/*.mjs'],
    languageOptions: { globals: { console: 'readonly', process: 'readonly' } },
  },
  {
    files: ['test/**/*.ts', 'benchmarks/**/*.ts'],
    rules: {
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
    },
  },
);
