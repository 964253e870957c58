/** Colours have a contrast of at least 4.5 on their ground, light and dark. */
export const style = `
:root { color-scheme: light dark; --text: #1b1b1b; --ground: #fff; --line: #c4c9cf; --head: #eef1f4; --muted: #51575e;
  --good: #12692b; --warn: #7a4b00; --bad: #a80f1b; --link: #0b57a3; }
@media (prefers-color-scheme: dark) { :root { --text: #e9ebee; --ground: #16191d; --line: #444b53; --head: #22272d; --muted: #b2bac3;
  --good: #6fd58b; --warn: #f2bf5e; --bad: #ff9a9a; --link: #8cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.25rem 3rem; max-width: 100rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, "Microsoft YaHei", "PingFang SC", "Noto Sans CJK SC", sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.5rem; margin: .25rem 0; } h2 { font-size: 1.2rem; margin: 1.75rem 0 .5rem; }
a { color: var(--link); } a:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.muted { color: var(--muted); } .good { color: var(--good); } .warn { color: var(--warn); font-weight: 600; }
.bad { color: var(--bad); font-weight: 700; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: .6rem 1.5rem; margin: 0; }
dt { color: var(--muted); font-size: .875rem; } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
thead th { background: var(--head); vertical-align: bottom; } tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 9rem; }
td { font-variant-numeric: tabular-nums; min-width: 5.5rem; } th .muted { font-weight: 400; }
.more td { border-top: 0; } .more span > span + span { margin-left: .25rem; } .more div > span { margin-right: 1.25rem; }
.fault div, .more div { position: sticky; left: .6rem; max-width: calc(min(100vw, 100rem) - 4.5rem); overflow-wrap: anywhere; }
`
