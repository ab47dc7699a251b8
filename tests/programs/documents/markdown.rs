//! A Markdown document, as far as it can be checked.

use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What a document contains, each with its line.
pub(super) struct Document {
    /// From the root of the repository.
    pub(super) path: String,
    /// Anchors of the headings, as GitHub makes them.
    pub(super) anchors: Vec<String>,
    /// Destinations of links and images.
    pub(super) links: Vec<(usize, String)>,
    /// Text in backticks.
    pub(super) code: Vec<(usize, String)>,
    pub(super) blocks: Vec<Block>,
}

/// A fenced code block.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) line: usize,
    /// The first word after the fence, and the rest of that line.
    pub(super) language: String,
    pub(super) mark: String,
    pub(super) text: String,
    /// Whether nothing but blank lines is between the block before it and this one.
    pub(super) follows: bool,
}

impl Document {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut document =
            Self { path: path.into(), anchors: vec![], links: vec![], code: vec![], blocks: vec![] };
        let mut headings = BTreeMap::new();
        let (mut heading, mut block): (Option<String>, Option<Block>) = (None, None);
        let mut end_of_block = 0;
        let events = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES);
        for (event, range) in events.into_offset_iter() {
            let line = text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    document.anchors.push(anchor(&heading.take().unwrap(), &mut headings));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push((line, dest_url.to_string()));
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let (language, mark) = info.split_once(' ').unwrap_or((&info, ""));
                    let follows = end_of_block > 0 && text[end_of_block..range.start].trim().is_empty();
                    let (language, mark) = (language.to_owned(), mark.trim().to_owned());
                    block = Some(Block { line, language, mark, follows, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => {
                    end_of_block = range.end;
                    document.blocks.extend(block.take());
                }
                Event::Code(code) => {
                    document.code.push((line, code.to_string()));
                    heading.iter_mut().for_each(|heading| heading.push_str(&code));
                }
                Event::Text(part) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&part));
                    block.iter_mut().for_each(|block| block.text.push_str(&part));
                }
                _ => {}
            }
        }
        document
    }
}

/// Lower case, spaces as dashes, without punctuation; repetitions are numbered.
fn anchor(heading: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    let name: String = kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
    let before = seen.entry(name.clone()).or_default();
    *before += 1;
    if *before == 1 { name } else { format!("{name}-{}", *before - 1) }
}
