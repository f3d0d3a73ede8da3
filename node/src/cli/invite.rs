//! `linli invite` and `linli join`: how operators and nodes get in.

use clap::Args;
use linli_core::area::Area;
use serde_json::{Value, json};

use super::Context;
use super::outcome::{Failure, Outcome};
use crate::client::Sent;
use crate::data_dir::KeyName;
use crate::enrolment::Enrolment;
use crate::node::new_act;
use linli_core::enrol::{JoinRequest, Ticket};

/// Lets an operator in at this node's pages, or another node into the district.
#[derive(Debug, Args)]
pub struct Invite {
    /// Print a one-time code for an operator of this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["request", "name", "area"])]
    operator: Option<String>,
    /// Who lets the operator in; it will stand in the event.
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
    /// Says that this machine's clock is right although other nodes differ by more than an hour.
    #[arg(long, requires = "operator")]
    clock_checked: bool,
    /// The text that `linli join` printed on the other machine.
    #[arg(required_unless_present = "operator")]
    request: Option<String>,
    /// The other node's public name.
    #[arg(long, required_unless_present = "operator")]
    name: Option<String>,
    /// Where the other node will work; must lie within this node's area.
    #[arg(long, required_unless_present = "operator")]
    area: Option<Area>,
    /// Where the newcomer can reach this node, as a multiaddr; by default the addresses it listens on.
    #[arg(long = "address")]
    addresses: Vec<String>,
}

impl Invite {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        if let Some(name) = self.operator {
            let again = "linli operators list shows whether it was issued; what was not can be issued anew";
            let sent = Sent { act: new_act(), clock_checked: self.clock_checked, again };
            let answer = client.post_act("/operators", &json!({"name": name, "by": self.by}), &sent)?;
            context.print(&answer, |a| {
                format!("一次性登录码 / one-time code for {name}: {}", a["code"].as_str().unwrap_or_default())
            });
            return Ok(());
        }
        let request = self.request.unwrap_or_default();
        JoinRequest::from_text(&request)?;
        let body = json!({"request": request, "name": self.name, "area": self.area, "addresses": self.addresses});
        let answer = client.post("/invitations", &body)?;
        context.print(&answer, |a| {
            let ticket = a["ticket"].as_str().unwrap_or_default();
            format!("{ticket}\n\nOn the other machine: linli join <this text>")
        });
        Ok(())
    }
}

/// Joins a district, in two steps: without a ticket it prints the request that another node answers.
#[derive(Debug, Args)]
pub struct Join {
    /// The text that `linli invite` printed on a node of the district.
    ticket: Option<String>,
}

impl Join {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Some(text) = self.ticket else { return request(context) };
        let ticket = Ticket::from_text(&text)?;
        let key = context.dir.read_key(KeyName::Node).map_err(|_| {
            Failure::usage("this machine has not asked to join yet", "linli join (without a ticket) prints a request")
        })?;
        let events = ticket.verified_for(&key.public())?;
        let enrolment = Enrolment::establish(&context.dir, ticket.federation, &ticket.charter, &ticket.peers)?;
        let joined = json!({"federation": ticket.federation, "charter_events": events.len(), "peers": ticket.peers});
        context.print(&joined, |_| {
            format!("已加入 / joined as {} ({})\nnext: linli serve", enrolment.label, enrolment.area)
        });
        Ok(())
    }
}

fn request(context: &Context) -> Outcome {
    if context.dir.has_key(KeyName::Node) && Enrolment::exists(&context.dir) {
        let message = format!("the node in {} belongs to a district already", context.dir.path().display());
        return Err(Failure::usage(message, "linli status shows it; --data-dir names another place"));
    }
    context.dir.create()?;
    let key = match context.dir.has_key(KeyName::Node) {
        true => context.dir.read_key(KeyName::Node)?,
        false => context.dir.create_key(KeyName::Node)?,
    };
    let text = JoinRequest::of(&key).to_text();
    let value: Value = json!({"request": text, "node": key.public()});
    context.print(&value, |_| {
        format!("{text}\n\nOn a node of the district: linli invite --name <place> --area <code> <this text>")
    });
    Ok(())
}
