"""The look of the page, in the reader's own colour scheme. Contrasts are WCAG AA or better."""

from __future__ import annotations

from typing import Final

STYLE: Final = """\
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f6f8fa; --line: #d0d7de; --text: #1f2328; --soft: #57606a;
  --accent: #0550ae; --blocking: #b3141d; --caution: #7d4e00; --note: #0550ae; --good: #116329;
  --blocking-back: #ffebe9; --caution-back: #fff8c5; --note-back: #ddf4ff; --good-back: #dafbe1;
  --keyword: #a40e26; --string: #0a3069; --number: #0550ae; --quoted: #6639ba; --comment: #57606a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --raised: #161b22; --line: #3d444d; --text: #e6edf3; --soft: #9ba4ae;
    --accent: #79c0ff; --blocking: #ff9a92; --caution: #e3b341; --note: #79c0ff; --good: #56d364;
    --blocking-back: #3c1518; --caution-back: #2f2408; --note-back: #0f2440; --good-back: #0f2a17;
    --keyword: #ff9a92; --string: #a5d6ff; --number: #79c0ff; --quoted: #d2a8ff; --comment: #9ba4ae;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere;
}
.wrap { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
main.wrap { padding-bottom: 4rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--page); z-index: 1; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
header { border-bottom: 1px solid var(--line); background: var(--raised); padding: 1.5rem 0 1rem; }
header code { background: var(--page); }
header p { margin: .4rem 0; color: var(--soft); }
header p.gate { color: var(--text); font-size: 1.1rem; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; }
h3 { margin: 0 0 .5rem; font-size: 1.05rem; line-height: 1.4; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0 0; padding: 0;
  list-style: none; }
nav li { margin: 0; }
nav a { display: inline-block; padding: .25rem 0; }
ul { padding-left: 1.4rem; } li { margin: .25rem 0; }
code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
  monospace; font-size: .875em; }
code { background: var(--raised); border-radius: 4px; padding: .1em .3em; unicode-bidi: isolate; }
.badge { display: inline-block; padding: .1rem .55rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; border: 1px solid currentcolor; }
.blocking { color: var(--blocking); background: var(--blocking-back); }
.caution { color: var(--caution); background: var(--caution-back); }
.note { color: var(--note); background: var(--note-back); }
.good { color: var(--good); background: var(--good-back); }
.part { border: 1px solid var(--line); border-left: .4rem solid var(--line); border-radius: 6px;
  padding: 1rem 1.25rem; margin: 1rem 0; }
.part-blocking { border-left-color: var(--blocking); }
.part-caution { border-left-color: var(--caution); }
.part-note { border-left-color: var(--note); }
.part > :last-child { margin-bottom: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding: .5rem .75rem; color: var(--soft); }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem;
  border-top: 1px solid var(--line); overflow-wrap: normal; min-width: 6rem; }
td { max-width: 24rem; overflow-wrap: break-word; }
thead th { background: var(--raised); white-space: nowrap; }
tbody th { font-weight: 600; }
pre { margin: 0; padding: .75rem 1rem; background: var(--raised); overflow-wrap: normal;
  white-space: pre; tab-size: 4; line-height: 1.5; }
pre code { padding: 0; background: none; font-size: inherit; }
figure { margin: .75rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
details { margin: .75rem 0; } details > *:not(summary) { margin-left: 1rem; }
summary { cursor: pointer; padding: .25rem 0; width: fit-content; color: var(--accent); }
.label { font-weight: 600; }
.k { color: var(--keyword); } .s { color: var(--string); } .n { color: var(--number); }
.q { color: var(--quoted); } .c { color: var(--comment); font-style: italic; }
svg { display: block; font-family: ui-monospace, SFMono-Regular, Menlo, Consolas,
  "DejaVu Sans Mono", monospace; font-size: 12px; }
svg .frame { fill: var(--page); stroke: var(--line); }
svg .head { fill: var(--raised); stroke: var(--line); }
svg .changed .frame, svg .changed .head { stroke: var(--accent); stroke-width: 2; }
svg .mark { fill: var(--note-back); }
svg text { fill: var(--text); } svg .title { font-weight: 700; }
svg .type { fill: var(--soft); text-anchor: end; }
svg .line { fill: none; stroke: var(--soft); stroke-width: 1.5; }
svg .end { fill: var(--soft); }
footer { border-top: 1px solid var(--line); color: var(--soft); padding: 1rem 0; }
@media (max-width: 40rem) {
  body { font-size: 15px; }
  .part { padding: .75rem; }
  details > *:not(summary) { margin-left: 0; }
}
@media print {
  .skip, nav { display: none; }
  .scroll, pre { overflow: visible; white-space: pre-wrap; }
}
"""
