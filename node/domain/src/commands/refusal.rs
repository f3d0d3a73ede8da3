//! Refusals: what is wrong and what to do next, under a stable code, in both languages.

use serde::{Deserialize, Serialize};

use super::Unreadable;
use crate::check::{Invalid, InvalidProblem};
use crate::documents::{DocumentError, RebaseError};

/// A command that was refused. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{en} {next_en}")]
pub struct Refused {
    /// A stable code for pages and scripts.
    pub code: &'static str,
    /// The field that it is about, if it is about one.
    pub field: Option<&'static str>,
    /// What is wrong, in Chinese.
    pub zh: String,
    /// What is wrong, in English.
    pub en: String,
    /// What to do next, in Chinese.
    pub next_zh: &'static str,
    /// What to do next, in English.
    pub next_en: &'static str,
}

/// Fields and lists of documents, and what commands call them.
const EDITABLE: &[(&str, &str)] = &[
    ("name", "name"),
    ("kind", "team_kind"),
    ("lead", "lead"),
    ("roster", "roster"),
    ("kit", "kit"),
    ("address", "address"),
    ("lat_e7", "lat_e7"),
    ("lon_e7", "lon_e7"),
    ("service_radius_m", "service_radius_m"),
    ("keeper", "keeper"),
    ("minimums", "minimums"),
    ("text", "text"),
];

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $code:literal $zh:literal $en:literal $next_zh:literal $next_en:literal;)+) => {
        /// Why a command is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Refusal { $($(#[$doc])* $name,)+ }

        impl Refusal {
            /// Every reason, for the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            const fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
                match self { $(Self::$name => ($zh, $en, $next_zh, $next_en),)+ }
            }
        }
    };
}

refusals! {
    /// The record is not here.
    UnknownRecord "unknown_record" "本节点没有这条记录。" "This node does not know that record."
        "核对编号, 或等待同步后再试。" "Check the id, or try again after the nodes have met.";
    /// The record is something else.
    OtherKindOfRecord "other_kind_of_record" "这条记录不是这一类。" "That record is of another kind."
        "核对编号。" "Check the id.";
    /// A field breaks its bound.
    InvalidField "invalid_field" "有一项填写不正确。" "A field is not valid."
        "修改后再提交。" "Correct it and send again.";
    /// Outside the node's area.
    OutsideArea "outside_area" "该区域不在本节点辖区内。" "That area lies outside this node's."
        "在辖区节点上操作。" "Do it at a node of that area.";
    /// Less is there than asked for.
    NotEnough "not_enough" "账面库存不足。" "The books show less than that."
        "减少数量，先盘点，或勾选“账面不足也照发”（命令行：even_if_short=true）。" "Take less, count first, or confirm that it leaves anyway (command line: even_if_short=true).";
    /// Done with already.
    AlreadyClosed "already_closed" "已经结束。" "It is closed already."
        "如需继续, 先重新打开。" "Open it again first.";
    /// Not closed.
    NotClosed "not_closed" "尚未结束。" "It is not closed."
        "无需重新打开。" "There is nothing to open again.";
    /// The team is out.
    AlreadyDeployed "already_deployed" "队伍已在其他事件出动。" "The team is deployed at another incident."
        "先归队, 或另派队伍。" "Release it first, or send another team.";
    /// The team is not there.
    NotDeployed "not_deployed" "队伍不在该事件出动。" "The team is not deployed at that incident."
        "核对队伍和事件。" "Check the team and the incident.";
    /// Four eyes.
    SamePerson "same_person" "需要两个不同的人。" "This takes two different people."
        "请没有参与编写或处理的人来做。" "Ask somebody who has not written on it or handled it.";
    /// No such text.
    NothingToApprove "nothing_to_approve" "还没有可批准的文本。" "There is no text to approve."
        "先编写预案。" "Write the plan first.";
    /// The text changed or was never approved.
    NotApproved "not_approved" "当前文本尚未批准。" "This text has not been approved."
        "先批准当前文本。" "Have this text approved first.";
    /// The text is not the one that was read.
    TextChanged "text_changed" "文本在您阅读之后有改动。" "The text has changed since you read it."
        "重新阅读后再批准。" "Read it again, then approve.";
    /// A field is not what it was when the form was opened.
    ChangedMeanwhile "changed_meanwhile" "别人已改了同一项。" "Somebody else has changed the same field meanwhile."
        "看过现在的内容, 再决定怎样写。" "Read what stands there now, then decide what it shall be.";
    /// In the wrong order.
    WrongStep "wrong_step" "顺序不对, 前一步尚未完成。" "A step before this one is missing."
        "先完成前一步。" "Take that step first.";
    /// There is nothing left to do.
    AlreadyDone "already_done" "这一步已经完成。" "That step has been taken already."
        "无需再做。" "There is nothing left to do.";
    /// The present text is in force.
    AlreadyIssued "already_issued" "当前文本已经发布。" "The present text is in force already."
        "如有新版, 先编写并批准。" "Write and approve a new version first.";
    /// Another plan took its place.
    Superseded "superseded" "该预案已被取代。" "The plan was replaced by another."
        "请在取代它的预案上操作。" "Act on the plan that replaced it.";
    /// Another plan is in force for the same scope.
    OtherInForce "other_in_force" "同一范围已有另一预案在施行。" "Another plan is in force for the same scope."
        "先用本预案取代那一份。" "First replace that plan by this one.";
    /// Nothing from outside waits.
    NothingToAdopt "nothing_to_adopt" "没有等待采纳的外来行为。" "No act from outside waits here."
        "刷新后再试。" "Refresh and try again.";
    /// No such contradiction between records.
    UnknownCheck "unknown_check" "没有这条对照, 或已有说明。" "There is no such contradiction, or it is explained."
        "刷新后再试。" "Refresh and try again.";
    /// No side of a conflict about stock is right.
    CountInstead "count_instead" "库存冲突不能选择一方。" "No side of a conflict about stock is right."
        "请盘点并填写实有数量（命令行：counted）。" "Count what is there and say how much it is (counted).";
    /// More than one lot is wrong.
    CountEachLot "count_each_lot" "涉及多个批次。" "More than one lot is concerned."
        "请对每个批次分别盘点。" "Count each lot on its own.";
    /// Another unit than the item's.
    OtherUnit "other_unit" "计量单位与在库不同。" "The unit differs from the item's."
        "换算成在库的单位, 或另起物资名称。" "Convert it to the item's unit, or use another item.";
    /// The lot's last day has passed.
    LotExpired "lot_expired" "该批次已经过期。" "That lot has expired."
        "发放其他批次；确需发出时请勾选（命令行：even_if_expired=true）。" "Take another lot, or confirm that it leaves anyway (even_if_expired=true).";
    /// A team is still at the incident.
    TeamsThere "teams_there" "还有队伍在该事件出动，或有任务在身。" "A team is still out at that incident, or has a task there."
        "出动的先归队；已无任务的，勾选“仍有队伍在场也结束”（命令行：even_if_teams_there=true）。" "Release those who are out; where the task is done, confirm that it is closed anyway (command line: even_if_teams_there=true).";
    /// A transfer is one lot.
    OneLot "one_lot" "一次只能调出一个批次。" "A transfer is of one lot."
        "按批次分次调出。" "Send the lots one after the other.";
    /// Something is settled already.
    AlreadySettled "already_settled" "该冲突已裁定。" "That conflict is settled already."
        "无需再做。" "There is nothing left to do.";
    /// No such conflict.
    UnknownConflict "unknown_conflict" "没有这个冲突。" "There is no such conflict."
        "刷新后再试。" "Refresh and try again.";
    /// The heads of a record that somebody says to have seen are not here.
    UnknownHeads "unknown_heads" "本节点没有您所见的那些条目, 或其中还没有这个冲突。" "What you say to have seen is not here, or the conflict was not there yet."
        "刷新页面后再做; 命令行不带 heads 即以现在为准。" "Load the page anew; on the command line leave out heads to stand on what is here now.";
    /// Sent to another point.
    NotAddressee "not_addressee" "这笔调拨不是发往这里的。" "That transfer was not sent to this point."
        "在收货点入库; 货若就在这里, 先在收货点入库, 再由收货点调出到这里。" "Book it in at the point it was sent to; if the goods are here, book them in there and then send them on from there to here.";
    /// More than is still on the way.
    MoreThanSent "more_than_sent" "到货超过在途数量。" "That is more than is still on the way."
        "核对数量；确实多到时请勾选（命令行：even_if_more=true），差异留待说明。" "Check the quantity; if more has really arrived, confirm it (even_if_more=true), and the difference is left to be explained.";
    /// No such transfer.
    UnknownTransfer "unknown_transfer" "对方物资点没有这笔调出记录, 或内容不符。" "The other point has not sent this, or it differs."
        "核对调拨编号和数量; 尚未同步时可确认仍要入库(even_if_unknown)。" "Check the transfer; before the nodes have met, confirm with even_if_unknown.";
    /// Booked already.
    AlreadyArrived "already_arrived" "这笔调拨已经入库。" "That transfer has arrived already."
        "无需再做；如确有后到或多到的，填写数量并勾选（命令行：even_if_more=true）。" "There is nothing left to do; if more has really arrived, say how much and confirm it (even_if_more=true).";
    /// The record exists.
    AlreadyThere "already_there" "该记录已存在。" "That record exists already."
        "换一个编号, 或修改原记录。" "Use another id, or change that record.";
    /// A record cannot refer to itself.
    Itself "itself" "不能指向自己。" "It cannot refer to itself."
        "核对编号。" "Check the id.";
    /// The change does not fit the document.
    Document "document" "文档不能这样修改。" "The document cannot be changed that way."
        "缩短内容或分几次修改。" "Shorten it, or change it in several steps.";
    /// More than an event carries.
    TooLarge "too_large" "内容太长。" "That is more than one event carries."
        "缩短内容或分几次提交。" "Shorten it, or send it in parts.";
    /// The record is perhaps here, and cannot be read.
    Unreadable "unreadable" "本节点此刻读不出这条记录, 什么都没有记录。" "This node cannot read that record now; nothing was recorded."
        "稍后再试; 如仍不行, 查看状态页。" "Try again in a moment; if it persists, look at the status page.";
    /// Our own mistake.
    Internal "internal" "程序内部错误。" "The program is at fault."
        "请报告此问题。" "Please report this.";
}

impl From<Unreadable> for Refused {
    fn from(_: Unreadable) -> Self {
        Self::new(Refusal::Unreadable)
    }
}

impl Refused {
    /// Whether nothing is wrong with the command: a view that it needs could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.code == Refusal::Unreadable.code()
    }

    /// A refusal.
    pub fn new(reason: Refusal) -> Self {
        let (zh, en, next_zh, next_en) = reason.words();
        Self { code: reason.code(), field: None, zh: zh.to_owned(), en: en.to_owned(), next_zh, next_en }
    }

    /// A refusal about a field.
    pub fn about(reason: Refusal, field: &'static str) -> Self {
        Self { field: Some(field), ..Self::new(reason) }
    }

    /// A field that breaks its bound.
    pub fn field(invalid: Invalid) -> Self {
        let zh = match invalid.problem {
            InvalidProblem::Empty => "不能为空".to_owned(),
            InvalidProblem::TooLong(max) => format!("不能超过{max}个字"),
            InvalidProblem::ControlCharacters => "含有控制字符".to_owned(),
            InvalidProblem::OutOfRange(min, max) => format!("应在{min}到{max}之间"),
            InvalidProblem::TooMany(max) => format!("不能超过{max}项"),
            InvalidProblem::Halved => "缺少另一半".to_owned(),
        };
        let mut refused = Self::about(Refusal::InvalidField, invalid.field);
        refused.zh = format!("{}: {zh}。", invalid.field);
        refused.en = format!("{invalid}.");
        refused
    }

    /// A refusal that says in particular whom or what it is about.
    pub(super) fn naming(reason: Refusal, field: &'static str, whom: &str) -> Self {
        let mut refused = Self::about(reason, field);
        refused.zh = format!("{}（{whom}）。", refused.zh.trim_end_matches('。'));
        refused.en = format!("{} ({whom}).", refused.en.trim_end_matches('.'));
        refused
    }

    /// A text that holds a character which no screen shows.
    pub(super) fn unshown(name: &str, text: &str, hidden: char) -> Self {
        let line = 1 + text.chars().take_while(|character| *character != hidden).filter(|c| *c == '\n').count();
        let (name, code) = (name.escape_debug(), u32::from(hidden));
        let mut refused = Self::new(Refusal::InvalidField);
        refused.zh = format!("{name}: 第{line}行含有看不见的字符 U+{code:04X}。");
        refused.en = format!("{name}: line {line} holds U+{code:04X}, which no screen shows.");
        refused
    }

    /// A field that is needed here and was not given.
    pub(super) fn missing(field: &'static str) -> Self {
        Self::field(Invalid { field, problem: InvalidProblem::Empty })
    }

    /// The transfer goes to another point, which people call so.
    pub(super) fn not_addressee(addressee: &str) -> Self {
        let mut refused = Self::about(Refusal::NotAddressee, "point");
        refused.zh = format!("这笔调拨发往“{addressee}”, 不是这里。");
        refused.en = format!("That transfer was sent to {addressee}, not to this point.");
        refused
    }

    /// All of a transfer has arrived, as far as is known here.
    pub(super) fn arrived_already(arrived: i64, sent: Option<i64>) -> Self {
        let mut refused = Self::about(Refusal::AlreadyArrived, "transfer");
        match sent {
            Some(sent) => {
                refused.zh = format!("这笔调拨已经入库{arrived}, 发出{sent}。");
                refused.en = format!("{arrived} of that transfer have arrived already; {sent} were sent.");
            }
            None => {
                refused.zh = "这笔调拨已有入库记录, 发出的记录尚未到本节点。".to_owned();
                refused.en =
                    "Some of that transfer has arrived already; how much was sent is not known here.".to_owned();
            }
        }
        refused
    }

    /// More arrived than is still on the way.
    pub(super) fn more_than_sent(sent: i64, arrived: i64, asked: i64) -> Self {
        let mut refused = Self::about(Refusal::MoreThanSent, "quantity");
        let rest = sent.saturating_sub(arrived);
        refused.zh = format!("发出{sent}, 已入库{arrived}, 在途{rest}, 这次要入库{asked}。");
        refused.en = format!("{sent} were sent, {arrived} have arrived, {rest} are on the way; {asked} were entered.");
        refused
    }

    /// More was asked for than the books show.
    pub(super) fn not_enough(field: &'static str, item: &str, known: i64, asked: i64) -> Self {
        let mut refused = Self::about(Refusal::NotEnough, field);
        refused.zh = format!("{item}账面只有{known}, 申请{asked}。");
        refused.en = format!("The books show {known} of {item}; {asked} were asked for.");
        refused
    }

    /// What a document says of an edit that began on an older content.
    pub(super) fn rebase(error: RebaseError) -> Self {
        let RebaseError::ChangedMeanwhile { field, now } = error else {
            // Heads that are not here are those of a text that this node does not know.
            return Self::about(Refusal::TextChanged, "heads");
        };
        let mut refused = Self::new(Refusal::ChangedMeanwhile);
        refused.field = EDITABLE.iter().find(|(key, _)| *key == field).map(|(_, name)| *name);
        let (now_zh, now_en) = now.as_deref().map_or(("空", "empty"), |now| (now, now));
        refused.zh = format!("别人已改了同一项, 现为: {now_zh}。");
        refused.en = format!("Somebody else has changed the same field meanwhile; it is now: {now_en}.");
        refused
    }

    /// What a document says of an edit.
    pub(super) fn document(error: DocumentError) -> Self {
        let mut refused = Self::new(Refusal::Document);
        refused.en = format!("{error}.");
        refused
    }
}
