/** The console's paper and ink; colours have a contrast of at least 4.5 on their ground, light and dark. */
export const style = `
:root { color-scheme: light dark; --text: #1c2126; --ground: #f7f6f3; --line: #d9d5cc; --head: #fdfcfa; --muted: #51575e;
  --good: #1d6b4a; --warn: #7c5100; --bad: #b3261e; --link: #1f4f86; }
@media (prefers-color-scheme: dark) { :root { --text: #e9ebee; --ground: #15181c; --line: #3a4149; --head: #1b1f24; --muted: #b2bac3;
  --good: #6fd58b; --warn: #e6b35c; --bad: #ff9a9a; --link: #8cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.25rem 3rem; max-width: 100rem; background: var(--ground); color: var(--text);
  font: .9375rem/1.5 system-ui, "Microsoft YaHei", "PingFang SC", "Noto Sans CJK SC", sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.25rem; font-weight: 600; margin: .25rem 0; } h2 { font-size: 1rem; font-weight: 600; margin: 1.5rem 0 .5rem; }
a { color: var(--link); } a:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.muted { color: var(--muted); } .good { color: var(--good); } .warn { color: var(--warn); font-weight: 600; }
.bad { color: var(--bad); font-weight: 700; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: .6rem 1.5rem; margin: 0; }
dt { color: var(--muted); font-size: .875rem; } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { border: 0; border-top: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
thead th { background: var(--head); border-top: 0; vertical-align: bottom; font-weight: 600; } tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 9rem; }
td { font-variant-numeric: tabular-nums; min-width: 5.5rem; } th .muted { font-weight: 400; }
.chain { display: flex; width: 96px; height: 12px; margin-top: .25rem; }
.chain i { flex: 1; border: 1px solid var(--text); margin-left: -1px; position: relative; }
.chain .held { background: var(--bad); border-color: var(--bad); }
.chain .held::after { content: ""; position: absolute; inset: 45% 0 auto; height: 2px; background: var(--ground); }
.chain .touched { background: var(--warn); border-color: var(--warn); }
.chain .unknown { background: repeating-linear-gradient(45deg, var(--muted) 0 1px, transparent 1px 4px); }
.is-held::before { content: "\\25b2  "; } .is-flowing::before { content: "\\25cf  "; } .is-other::before { content: "\\25d0  "; }
.more td, .fault td { border-top: 0; } .more span > span + span { margin-left: .25rem; } .more div > span { margin-right: 1.25rem; }
.fault div, .more div { position: sticky; left: .6rem; max-width: calc(min(100vw, 100rem) - 4.5rem); overflow-wrap: anywhere; }
`
