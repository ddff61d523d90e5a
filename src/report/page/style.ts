/** The page's own style sheet: light and dark, narrow and wide, on a screen and on paper. */

export const STYLE = `
:root{color-scheme:light dark;--back:#fff;--panel:#f6f7f9;--text:#1a1d21;--soft:#565d66;--rule:#d5d9de;--link:#0b57b0;
--flushed:#0b66c3;--area:#0b66c333;--failed:#c2261c;--dropped:#a35200;--p50:#0b66c3;--p95:#8a3fb0;--longest:#7a828c;
--normal:#8fc7a2;--elevated:#e3c23c;--critical:#dd7f22;--blocked:#b3261e;--draining:#8494a8;
--good:#14703c;--warn:#8a5200;--bad:#b3261e}
@media screen and (prefers-color-scheme:dark){:root{--back:#15181c;--panel:#1e2228;--text:#e7eaee;--soft:#a9b1bb;--rule:#3a414a;--link:#86b7f5;
--flushed:#6cb0f7;--area:#6cb0f740;--failed:#ff8a80;--dropped:#f0a857;--p50:#6cb0f7;--p95:#cf9bec;--longest:#98a1ac;
--normal:#3d7a55;--elevated:#c7a72b;--critical:#de8430;--blocked:#f0706a;--draining:#7688a0;
--good:#7fd3a0;--warn:#f0b866;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:62rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.75rem 0 .5rem}
p{margin:.4rem 0}
.status{font-weight:600}.status.good{color:var(--good)}.status.warn{color:var(--warn)}.status.bad{color:var(--bad)}
.soft,figcaption,footer{color:var(--soft);font-size:.9rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:.75rem;margin:1.25rem 0}
dl div{background:var(--panel);border-radius:.4rem;padding:.6rem .8rem}
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}
figure{margin:1rem 0 1.5rem}
.plot{display:grid;grid-template-columns:3.6rem 1fr;grid-template-rows:11rem 1.5rem}
.plot.strip{grid-template-rows:2.5rem 1.5rem}
.plot svg{grid-column:2;grid-row:1;width:100%;height:100%;overflow:visible}
.y{grid-column:1;grid-row:1;position:relative}
.y span{position:absolute;right:.5rem;transform:translateY(50%);font-size:.75rem;color:var(--soft);white-space:nowrap}
.x{grid-column:2;grid-row:2;position:relative}
.x span{position:absolute;top:.25rem;transform:translateX(-50%);font-size:.75rem;color:var(--soft);white-space:nowrap}
.x span:first-child{transform:none}.x span[style*="left:9"],.x span[style*="left:100"]{transform:translateX(-100%)}
path{vector-effect:non-scaling-stroke;fill:none}
.grid{stroke:var(--rule);stroke-width:1}
.line{stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
path.area{stroke:none}
path.area.flushed,path.area.fill{fill:var(--area);stroke:var(--flushed);stroke-width:1.5}
.flushed,.fill{--key:var(--flushed)}.failed{--key:var(--failed)}.dropped{--key:var(--dropped)}.peak{--key:var(--p95)}
.p50{--key:var(--p50)}.p95{--key:var(--p95)}.longest{--key:var(--longest)}
.state-normal{--key:var(--normal)}.state-elevated{--key:var(--elevated)}.state-critical{--key:var(--critical)}
.state-blocked{--key:var(--blocked)}.state-draining{--key:var(--draining)}
path.line{stroke:var(--key)}path[class*=state-]{fill:var(--key)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.25rem 0;padding:0}
.key{display:inline-block;width:.85rem;height:.85rem;margin-right:.4rem;border-radius:.2rem;background:var(--key);vertical-align:-.1rem}
.key.line{height:.2rem;vertical-align:.25rem}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--link)}
.scroll{overflow-x:auto;margin:.75rem 0}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;white-space:nowrap;color:var(--soft);padding-bottom:.25rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--rule);overflow-wrap:normal}
thead th{font-weight:600;white-space:nowrap}tbody th{font-weight:400}
.n{text-align:right;white-space:nowrap}td:last-child:not(.n){min-width:14rem}
footer{margin-top:3rem;padding-bottom:2rem}
@media (max-width:36rem){.plot{grid-template-columns:2.9rem 1fr}.x span:nth-child(even){display:none}}
@media print{:root{color-scheme:light}body{font-size:11pt}header,main,footer{max-width:none}
figure,dl,tr{break-inside:avoid}h2,h3{break-after:avoid}details:not([open]){display:none}
path,.key{print-color-adjust:exact;-webkit-print-color-adjust:exact}.scroll{overflow:visible}}
`;
