/** `spillway/report`: what a sink has done, as a page of HTML. */

export { createReport, type Report, type ReportOptions, type ReportTarget } from './create-report.js';
export type { ReportMetrics } from './measure/reading.js';
