namespace Slipway.Registry.Server.Pages;

/// <summary>The look of the page. Colours follow the reader's system, light or dark.</summary>
internal static class StyleSheet
{
    public const string Path = "/-/style.css";

    public const string Text =
        """
        :root {
          color-scheme: light dark;
          --ground: light-dark(#f6f7f9, #0e1217); --card: light-dark(#ffffff, #161c24); --line: light-dark(#e1e5eb, #27303b);
          --ink: light-dark(#17202b, #e4eaf1); --soft: light-dark(#5c6978, #93a1b1); --accent: light-dark(#0b63ce, #6cb2ff);
          --bar: light-dark(#0b63ce, #4a97ee); --trough: light-dark(#e9eef5, #222b36); --code: light-dark(#f0f3f7, #0b0f14);
        }
        * { box-sizing: border-box }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
        a { color: var(--accent); text-decoration: none }
        a:hover { text-decoration: underline }
        code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .87em }
        header { border-bottom: 1px solid var(--line); background: var(--card) }
        header div, main, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem }
        header div { display: flex; align-items: center; gap: .6rem; height: 3.5rem }
        header a { color: var(--ink); font-weight: 650; letter-spacing: -.01em }
        header svg { width: 1.5rem; height: 1.5rem; flex: none }
        header span { margin-left: auto; color: var(--soft) }
        main { padding-top: 2rem; padding-bottom: 3rem }
        h1 { margin: 0 0 .25rem; font-size: 1.6rem; line-height: 1.25; letter-spacing: -.02em; overflow-wrap: anywhere }
        h1 small { color: var(--soft); font-weight: 400 }
        h2 { margin: 2.25rem 0 .75rem; font-size: 1.05rem; letter-spacing: -.01em }
        .lead { margin: 0 0 1.5rem; color: var(--soft) }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden }
        .list { list-style: none; margin: 0; padding: 0 }
        .list li + li { border-top: 1px solid var(--line) }
        .list a { display: flex; align-items: baseline; gap: 1rem; padding: .75rem 1rem; color: var(--ink) }
        .list a:hover { background: var(--trough); text-decoration: none }
        .list b { font-weight: 600; overflow-wrap: anywhere }
        .list span { margin-left: auto; color: var(--soft); white-space: nowrap; font-size: .92em }
        .facts { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.5rem; margin: 0; padding: 1rem }
        .facts dt { color: var(--soft) }
        .facts dd { margin: 0; overflow-wrap: anywhere }
        pre { margin: 0; padding: .8rem 1rem; background: var(--code); border: 1px solid var(--line); border-radius: .6rem; overflow-x: auto }
        ol.layers { list-style: none; margin: 0; padding: 0 }
        .layers li { display: grid; grid-template-columns: 2.2rem 1fr 6rem; gap: .15rem 1rem; padding: .7rem 1rem }
        .layers li + li { border-top: 1px solid var(--line) }
        .layers .n, .layers .size { color: var(--soft); font-variant-numeric: tabular-nums }
        .layers .size { text-align: right; white-space: nowrap }
        .layers .command { overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 6; overflow: hidden }
        .layers meter { grid-column: 2 / 4; width: 100%; height: .35rem; border: 0; border-radius: 1rem; background: var(--trough); appearance: none }
        .layers meter::-webkit-meter-bar { height: .35rem; border: 0; border-radius: 1rem; background: var(--trough) }
        .layers meter::-webkit-meter-optimum-value { border-radius: 1rem; background: var(--bar) }
        .layers meter::-moz-meter-bar { border-radius: 1rem; background: var(--bar) }
        .layers .digest { grid-column: 2 / 4; color: var(--soft); font-size: .8em; overflow-wrap: anywhere }
        .layers .empty { padding-top: .4rem; padding-bottom: .4rem; color: var(--soft) }
        .empty-state { padding: 2.5rem 1rem; text-align: center; color: var(--soft) }
        footer { padding-bottom: 2rem; color: var(--soft); font-size: .87em }
        @media (max-width: 34rem) { .facts { grid-template-columns: 1fr; gap: 0 } .facts dd + dt { margin-top: .5rem } .layers li { grid-template-columns: 1.4rem 1fr 5rem } }
        """;
}
