//! Reading a page as assistive technology and careful people do: its elements, forms, labels and links.

use std::collections::BTreeMap;

use super::{Answer, Browser};

/// One start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Such as `input`.
    pub name: String,
    /// Attributes with their values; an attribute without one has an empty value.
    pub attributes: BTreeMap<String, String>,
    /// Where it ends in the page.
    pub end: usize,
}

impl Tag {
    /// An attribute's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// One control of a form with its value as the page gives it.
#[derive(Debug, Clone)]
pub struct Control {
    /// The tag.
    pub tag: Tag,
    /// What it would send if nobody touched it.
    pub value: String,
}

/// A form of a page.
#[derive(Debug, Clone)]
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Its method, in lower case.
    pub method: String,
    /// Its controls.
    pub controls: Vec<Control>,
    /// Whether it has a button that sends it.
    pub can_be_sent: bool,
}

impl Form {
    /// What a browser sends after somebody typed these values.
    ///
    /// # Panics
    /// When the form has no control of a name that is typed into.
    pub fn filled(&self, typed: &[(&str, &str)]) -> Vec<(String, String)> {
        for (name, _) in typed {
            assert!(
                self.controls.iter().any(|c| c.tag.get("name") == Some(name)),
                "no field {name} in {}",
                self.action
            );
        }
        let mut sent = vec![];
        for control in &self.controls {
            let name = control.tag.get("name").unwrap_or_else(|| panic!("a control without a name: {control:?}"));
            let kind = control.tag.get("type").unwrap_or_default();
            let marked = control.tag.get("checked").is_some();
            let value = typed.iter().find(|(key, _)| key == &name).map(|(_, value)| *value);
            let sends = match (kind, value) {
                // Of several radio buttons one is sent: the one that was chosen.
                ("radio", Some(value)) => (value == control.value).then_some(value),
                ("radio" | "checkbox", None) => marked.then_some(control.value.as_str()),
                (_, Some(value)) => Some(value),
                (_, None) => Some(control.value.as_str()),
            };
            sent.extend(sends.map(|value| (name.to_owned(), value.to_owned())));
        }
        sent
    }

    /// The value of a control; of several radio buttons, that of the one that is marked.
    pub fn value(&self, name: &str) -> Option<&str> {
        let of_name = |control: &&Control| control.tag.get("name") == Some(name);
        let shown =
            |control: &&Control| control.tag.get("type") != Some("radio") || control.tag.get("checked").is_some();
        self.controls.iter().filter(of_name).find(shown).map(|control| control.value.as_str())
    }
}

/// All start tags of a page, in order. Attributes in double quotes, as the pages write them.
pub fn tags(page: &str) -> Vec<Tag> {
    let mut found = vec![];
    let mut rest = 0;
    while let Some(at) = page[rest..].find('<').map(|at| rest + at) {
        let end = tag_end(page, at);
        let inside = &page[at + 1..end];
        rest = end + 1;
        if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        found.push(Tag { name: name.to_ascii_lowercase(), attributes: attributes_of(attributes), end: end + 1 });
    }
    found
}

fn tag_end(page: &str, at: usize) -> usize {
    let mut quoted = false;
    for (offset, byte) in page.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + offset,
            _ => {}
        }
    }
    panic!("a tag that does not end: {}", &page[at..(at + 80).min(page.len())]);
}

fn attributes_of(mut text: &str) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return attributes;
        }
        let name_end = text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len());
        let name = text[..name_end].to_owned();
        text = &text[name_end..];
        let value = match text.strip_prefix("=\"") {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').unwrap();
                text = after;
                unescape(value)
            }
            None => {
                assert!(!text.starts_with('='), "an attribute without quotes: {name}");
                String::new()
            }
        };
        assert!(attributes.insert(name.clone(), value).is_none(), "the attribute {name} stands twice");
    }
}

/// Text as it was before it was put into a page.
pub fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// The text of a page without its tags, each run of white space a single space.
pub fn text(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        out.push(' ');
        rest = &rest[tag_end(rest, at) + 1..];
    }
    out.push_str(rest);
    unescape(&out.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The text of the first element of a name.
pub fn text_of(page: &str, element: &str) -> Option<String> {
    let tag = tags(page).into_iter().find(|tag| tag.name == element)?;
    let inside = &page[tag.end..];
    Some(text(&inside[..inside.find(&format!("</{element}>"))?]))
}

/// All forms of a page.
pub fn forms(page: &str) -> Vec<Form> {
    let all = tags(page);
    let mut forms = vec![];
    for (at, tag) in all.iter().enumerate().filter(|(_, tag)| tag.name == "form") {
        let end = tag.end + page[tag.end..].find("</form>").expect("every form ends");
        let inside: Vec<&Tag> = all[at + 1..].iter().take_while(|tag| tag.end <= end).collect();
        let is_control = |tag: &&&Tag| ["input", "select", "textarea"].contains(&tag.name.as_str());
        let controls = inside.iter().filter(is_control).map(|tag| control(page, &all, tag)).collect();
        let sends = |tag: &&&Tag| tag.name == "button" && tag.get("type") == Some("submit");
        forms.push(Form {
            action: tag.get("action").unwrap_or_default().to_owned(),
            method: tag.get("method").unwrap_or("get").to_ascii_lowercase(),
            controls,
            can_be_sent: inside.iter().any(|tag| sends(&tag)),
        });
    }
    forms
}

fn control(page: &str, all: &[Tag], tag: &Tag) -> Control {
    let inside = &page[tag.end..];
    let value = match tag.name.as_str() {
        "textarea" => {
            let text = &inside[..inside.find("</textarea>").expect("every textarea ends")];
            // A browser drops the first line break.
            unescape(text.strip_prefix('\n').unwrap_or(text))
        }
        "select" => {
            let end = tag.end + inside.find("</select>").expect("every select ends");
            let options: Vec<&Tag> = all
                .iter()
                .filter(|option| option.name == "option" && option.end > tag.end && option.end < end)
                .collect();
            let chosen = options.iter().find(|option| option.get("selected").is_some()).or_else(|| options.first());
            chosen.and_then(|option| option.get("value")).unwrap_or_default().to_owned()
        }
        _ => tag.get("value").unwrap_or_default().to_owned(),
    };
    Control { tag: tag.clone(), value }
}

/// The form that is sent to an address.
///
/// # Panics
/// When there is none.
pub fn form_to(page: &str, action: &str) -> Form {
    let found = forms(page).into_iter().find(|form| form.action == action);
    found.unwrap_or_else(|| panic!("no form to {action} in: {}", text(page)))
}

/// Whether a tag stands inside an element of this name; such elements do not hold each other.
fn is_inside(page: &str, tag: &Tag, element: &str) -> bool {
    let before = &page[..tag.end];
    before.rfind(&format!("<{element}")) > before.rfind(&format!("</{element}>"))
}

/// What keeps somebody without a mouse, without a script or without sight from using a page.
pub fn obstacles(page: &str) -> Vec<String> {
    let all = tags(page);
    let mut found = vec![];
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().filter_map(|tag| tag.get("id")).for_each(|id| *ids.entry(id).or_default() += 1);
    found.extend(ids.iter().filter(|(_, count)| **count > 1).map(|(id, _)| format!("the id {id} stands twice")));
    let labelled: Vec<&str> = all.iter().filter(|tag| tag.name == "label").filter_map(|tag| tag.get("for")).collect();
    found.extend(
        labelled.iter().filter(|id| !ids.contains_key(**id)).map(|id| format!("a label for {id}, which is not there")),
    );
    for form in forms(page) {
        if form.action.is_empty() || form.method != "post" || !form.can_be_sent {
            found.push(format!("the form to {:?} cannot be sent without a script", form.action));
        }
        for Control { tag, .. } in &form.controls {
            if tag.get("type") == Some("hidden") {
                continue;
            }
            if !tag.get("id").is_some_and(|id| labelled.contains(&id)) && !is_inside(page, tag, "label") {
                found.push(format!("no label for {tag:?}"));
            }
            if tag.get("type") == Some("radio") && !is_inside(page, tag, "fieldset") {
                found.push(format!("nothing says what is chosen with {tag:?}"));
            }
            for id in tag.get("aria-describedby").into_iter().flat_map(|ids| ids.split(' ')) {
                if !ids.contains_key(id) {
                    found.push(format!("described by {id}, which is not there"));
                }
            }
        }
    }
    for tag in &all {
        if let Some((name, _)) = tag.attributes.iter().find(|(name, _)| name.starts_with("on")) {
            found.push(format!("a script in the attribute {name}"));
        }
        if tag.get("href").is_some_and(|href| href.starts_with("javascript:")) || tag.name == "noscript" {
            found.push(format!("needs a script: {tag:?}"));
        }
        if tag.name == "button" && tag.get("type") != Some("submit") {
            found.push(format!("a button that does nothing without a script: {tag:?}"));
        }
        if tag.name == "img" && tag.get("alt").is_none() {
            found.push("a picture without a text for it".to_owned());
        }
        if tag.get("style").is_some() || tag.name == "style" {
            found.push(format!("a style that the content security policy keeps out: {tag:?}"));
        }
        if tag.name == "script" && tag.get("src").is_none_or(|source| !source.starts_with("/assets/")) {
            found.push("a script in the page".to_owned());
        }
    }
    if all.iter().filter(|tag| tag.name == "h1").count() != 1 {
        found.push("not exactly one first heading".to_owned());
    }
    found
}

/// Sends a form with what somebody typed into it.
pub fn fill(form: &Form, typed: &[(&str, &str)], by: &Browser) -> Answer {
    let fields = form.filled(typed);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    by.post(&form.action, &fields)
}
