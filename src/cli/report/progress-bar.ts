/** The bar of a terminal. In a file of its own, for most loads draw none. */

export { default } from 'cli-progress';
