//! `index.html`: one page that needs no other file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::agreement::Verdict;
use crate::runner::read_json;
use crate::table::write_whole;
use crate::{Figure, FigureError, Record};

/// Writes the page of all registered figures that have a complete folder in `out`, in the order of the
/// registry. It holds no time and no path, so that equal results make equal pages.
pub(crate) fn write(registry: &[&dyn Figure], out: &Path) -> Result<(), FigureError> {
    let mut entries = Vec::new();
    for figure in registry {
        let folder = out.join(figure.id());
        let record = folder.join("figure.json");
        if record.exists() {
            let picture = folder.join("figure.png");
            let picture = fs::read(&picture).map_err(FigureError::file(&picture))?;
            entries.push((read_json::<Record>(&record)?, picture));
        }
    }
    write_whole(&out.join("index.html"), page(&entries).as_bytes())
}

fn page(entries: &[(Record, Vec<u8>)]) -> String {
    let judged = || {
        entries
            .iter()
            .map(|(record, _)| record)
            .filter(|record| record.provenance.simulated)
    };
    let (held, all) = (
        judged().filter(|record| record.held()).count(),
        judged().count(),
    );
    let mut page = String::from(HEAD);
    let _ = writeln!(
        page,
        "<header><h1>Theory beside simulation</h1><p>{held} of {all} figures hold. \
         Each is judged with a probability of a false alarm of at most 10<sup>−4</sup>; \
         <em>power</em> is the fraction of points at which a deliberately wrong theory is found out.</p><nav>"
    );
    for (record, _) in entries {
        let (class, word) = state(record);
        let _ = writeln!(
            page,
            r##"<a href="#{id}">{title} <span class="{class}">{word}</span></a>"##,
            id = escape(&record.id),
            title = escape(&record.title)
        );
    }
    page.push_str("</nav></header>\n");
    for (record, picture) in entries {
        section(&mut page, record, picture);
    }
    page.push_str("</body></html>\n");
    page
}

fn state(record: &Record) -> (&'static str, &'static str) {
    match (record.provenance.simulated, record.held()) {
        (false, _) => ("open", "theory only"),
        (true, true) => ("held", "holds"),
        (true, false) => ("broken", "broken"),
    }
}

fn section(page: &mut String, record: &Record, picture: &[u8]) {
    let (class, word) = state(record);
    let from = &record.provenance;
    let _ = writeln!(
        page,
        r#"<section id="{id}"><h2>{title} <span class="{class}">{word}</span></h2>
<p class="claim">{claim}</p>
<img alt="{title}" src="data:image/png;base64,{data}">"#,
        id = escape(&record.id),
        title = escape(&record.title),
        claim = escape(&record.claim),
        data = BASE64.encode(picture)
    );
    if !record.verdicts.is_empty() {
        page.push_str(
            "<table><tr><th>agreement</th><th>verdict</th><th>points</th>\
             <th>largest difference / bound</th><th>power</th><th>numbers</th></tr>\n",
        );
        for verdict in &record.verdicts {
            row(page, verdict);
        }
        page.push_str("</table>\n");
    }
    if record.measured {
        page.push_str("<p class=\"source\">Times of one machine: no other run repeats them.</p>\n");
    }
    let commit = from.commit.as_deref().map_or(String::new(), |commit| {
        format!(", commit {}", escape(commit))
    });
    let _ = writeln!(
        page,
        "<p class=\"source\">Source: {}<br>Profile {}, seed {}, revision {}, version {}{commit}. \
         Tables: <code>{id}/theory.csv</code>, <code>{id}/simulation.csv</code>; vector graphics: \
         <code>{id}/figure.svg</code>.</p></section>",
        escape(&record.source),
        from.profile,
        from.seed,
        from.revision,
        escape(&from.version),
        id = escape(&record.id),
    );
}

fn row(page: &mut String, verdict: &Verdict) {
    let (class, word) = if verdict.held {
        ("held", "held")
    } else {
        ("broken", "broken")
    };
    let power = verdict
        .power
        .map_or("–".to_owned(), |power| format!("{:.0} %", 100.0 * power));
    let worst = if verdict.worst.is_finite() {
        format!("{:.2}", verdict.worst)
    } else {
        "–".to_owned()
    };
    let _ = writeln!(
        page,
        "<tr><td>{}</td><td><span class=\"{class}\">{word}</span></td><td>{}</td><td>{worst}</td><td>{power}</td><td class=\"text\">{}</td></tr>",
        escape(&verdict.name),
        verdict.points,
        escape(&verdict.text)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Theory beside simulation</title><style>
body { font: 16px/1.5 Georgia, "Times New Roman", serif; color: #222; background: #fbfbf9; max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
h1, h2, th, nav, span, code { font-family: "Helvetica Neue", Arial, sans-serif; }
h1 { font-weight: 600; margin: 1rem 0 .3rem; } h2 { font-size: 1.25rem; font-weight: 600; margin: 0 0 .3rem; }
nav { display: flex; flex-wrap: wrap; gap: .5rem 1.4rem; font-size: .9rem; margin: 1rem 0; }
nav a { color: #0072b2; text-decoration: none; } nav a:hover { text-decoration: underline; }
section { background: #fff; border: 1px solid #e4e4de; border-radius: 6px; padding: 1.4rem 1.6rem; margin: 1.4rem 0; }
img { max-width: 100%; height: auto; display: block; margin: .8rem auto; }
.claim { margin: .2rem 0 .8rem; font-size: 1.05rem; }
table { border-collapse: collapse; width: 100%; font-size: .82rem; margin: .8rem 0; }
th { text-align: left; font-weight: 600; color: #555; border-bottom: 1.5px solid #999; padding: .3rem .6rem; }
td { border-bottom: 1px solid #e8e8e4; padding: .35rem .6rem; vertical-align: top; font-variant-numeric: tabular-nums; }
.text { color: #555; max-width: 30rem; }
.source { color: #666; font-size: .82rem; margin: .6rem 0 0; } code { font-size: .95em; }
.held, .broken, .open { font-size: .78rem; font-weight: 600; padding: .08rem .5rem; border-radius: 1rem; white-space: nowrap; }
.held { background: #e0f2ea; color: #00694d; } .broken { background: #fbe3d6; color: #a34700; } .open { background: #ececec; color: #555; }
</style></head><body>
"#;
