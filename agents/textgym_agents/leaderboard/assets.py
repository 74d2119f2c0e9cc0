"""Style and script of the page. Nothing is loaded from elsewhere."""

STYLE = """
:root{--ink:#1b1f23;--soft:#57606a;--paper:#fff;--card:#f6f8fa;--line:#d8dee4;--accent:#0072B2}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#9aa4ad;--paper:#15181b;--card:#1e2226;--line:#343a40;
--accent:#5AB0E6}}
*{box-sizing:border-box}html{scroll-padding-top:7.5rem;color-scheme:light dark}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 16px}
h1{font-size:1.7rem;margin:1.2rem 0 .3rem}h2{margin:2.4rem 0 .4rem;font-size:1.35rem;border-top:1px solid var(--line);
padding-top:1.2rem}h3{margin:1.6rem 0 .3rem;font-size:1.1rem}.suite>h2:first-child{font-size:1.6rem}
p{margin:.4rem 0;max-width:75ch}.soft,caption,small{color:var(--soft)}a{color:var(--accent)}
nav{position:sticky;top:0;z-index:3;background:var(--paper);border-bottom:1px solid var(--line)}
nav>div{max-width:1180px;margin:0 auto;padding:8px 16px;display:flex;gap:6px 14px;flex-wrap:wrap;align-items:center}
nav .links{display:flex;gap:2px 14px;overflow-x:auto;white-space:nowrap;flex:1 1 300px;font-size:.92rem}
nav input{font:inherit;font-size:.92rem;padding:3px 8px;border:1px solid var(--line);border-radius:6px;
background:var(--card);color:var(--ink);width:13rem}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 12px;overflow-x:auto;
font-size:.85rem}
code{font-size:.9em;background:var(--card);border-radius:4px;padding:0 3px}pre code{background:none;padding:0}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.6rem 0;max-height:36rem}
table{border-collapse:collapse;font-size:.86rem;width:100%}caption{text-align:left;padding:4px 8px}
th,td{padding:4px 9px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.n small{display:block;font-size:.74rem}
thead th{position:sticky;top:0;background:var(--card);z-index:1;padding:0}
thead button{all:unset;display:block;box-sizing:border-box;width:100%;padding:5px 9px;cursor:pointer;font-weight:600;
white-space:nowrap}
thead button:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
th[aria-sort] button::after{content:" ↕";color:var(--soft);font-weight:400}
th[aria-sort=ascending] button::after{content:" ↑"}
th[aria-sort=descending] button::after{content:" ↓"}
td.key,th.key{position:sticky;left:0;background:var(--paper);white-space:nowrap}
thead th.key{z-index:2;background:var(--card)}
td.command{font:.74rem/1.4 ui-monospace,monospace;min-width:22rem}
td.text{min-width:16rem;white-space:normal;overflow-wrap:anywhere}
tbody tr:hover td{background:var(--card)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:10px;margin:.6rem 0}
.cards.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr))}
@media (min-width:1000px){.beside{display:grid;grid-template-columns:24rem minmax(0,1fr);gap:12px;align-items:start}
.beside .scroll{max-height:33rem}}
.cards.one{grid-template-columns:minmax(0,34rem)}.plot{width:100%;height:auto;display:block;max-width:34rem}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:6px;background:var(--paper)}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600;
white-space:nowrap}.hidden{display:none}
@media (max-width:600px){body{font-size:15px}h1{font-size:1.4rem}nav input{flex:1 1 100%}html{scroll-padding-top:6.5rem}
.scroll{max-height:26rem}td,th,thead button{padding-left:7px;padding-right:7px}td.key{max-width:9.5rem;overflow:hidden;
text-overflow:ellipsis}.beside{display:block}}
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild?.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].dataset.v;
    const numbers = head.classList.contains("n");
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      const order = numbers ? x - y : x.localeCompare(y);
      return down === numbers ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
}
const filter = document.querySelector("#filter");
filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase().split(/[\\s,]+/).filter(Boolean);
  for (const one of document.querySelectorAll("[data-algo]")) {
    const algo = one.dataset.algo.toLowerCase();
    one.classList.toggle("hidden", wanted.length > 0 && !wanted.some(name => algo.includes(name)));
  }
});
"""
