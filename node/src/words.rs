//! Every word that a page shows, once, in Chinese and English.
//!
//! The table is a macro: an entry without one of its two texts does not compile, and neither does one whose two texts
//! take a different number of `{}`. Pages name entries of [`Word`]; none of them holds text of its own.

use std::fmt;

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// 中文, the first language.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language of a `lang` parameter or cookie; `None` for anything but `zh` and `en`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The short name, as in a parameter or cookie.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// The `lang` attribute of a page.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// One of two texts.
    pub const fn of<'t>(self, zh: &'t str, en: &'t str) -> &'t str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// A word in this language.
    pub const fn t(self, word: Word) -> &'static str {
        self.of(word.zh(), word.en())
    }

    /// A word in this language with its `{}` filled in order.
    pub fn fill(self, word: Word, arguments: &[&dyn fmt::Display]) -> String {
        let mut out = String::new();
        let mut arguments = arguments.iter();
        let mut rest = self.t(word);
        while let Some((before, after)) = rest.split_once("{}") {
            out.push_str(before);
            if let Some(argument) = arguments.next() {
                out.push_str(&argument.to_string());
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// How many `{}` a text takes.
const fn slots(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut i, mut count) = (0, 0);
    while i + 1 < bytes.len() {
        if bytes[i] == b'{' && bytes[i + 1] == b'}' {
            count += 1;
        }
        i += 1;
    }
    count
}

macro_rules! words {
    ($($word:ident => $zh:literal, $en:literal;)+) => {
        /// An entry of the catalogue. Its two texts stand in the table of this module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Word {
            $(#[doc = $en] $word,)+
        }

        impl Word {
            /// Every entry.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The Chinese text.
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$word => $zh,)+ }
            }

            /// The English text.
            pub const fn en(self) -> &'static str {
                match self { $(Self::$word => $en,)+ }
            }
        }

        $(const _: () = assert!(
            !$zh.is_empty() && !$en.is_empty() && slots($zh) == slots($en),
            concat!("the two texts of ", stringify!($word), " do not fit each other"),
        );)+
    };
}

words! {
    // Frame of every page.
    Product => "邻里", "Linli";
    ProductLine => "社区防灾减灾", "Community emergency work";
    SkipToContent => "跳到正文", "Skip to content";
    MainNavigation => "主导航", "Main navigation";
    Menu => "菜单", "Menu";
    MorePages => "更多页面", "More pages";
    OtherLanguage => "English", "中文";
    Desk => "值守台", "Desk";
    Incidents => "事件", "Incidents";
    Supplies => "物资", "Supplies";
    Teams => "队伍", "Teams";
    Plans => "预案", "Plans";
    Hazards => "隐患", "Hazards";
    Buildings => "楼栋", "Buildings";
    Status => "节点状态", "Node status";
    Phone => "手机版", "Phone";
    Public => "居民公开信息", "Residents' page";
    SignIn => "登录", "Sign in";
    SignOut => "退出登录", "Sign out";
    SignedInAs => "操作人：{}", "Operator: {}";
    Unknown => "未知", "Unknown";
    NoneHere => "无", "None";
    Never => "启动后未收到", "Not since the start";
    Back => "返回", "Back";
    Optional => "（选填）", "(optional)";
    Choose => "请选择", "Choose";
    Yes => "是", "Yes";
    No => "否", "No";

    // How sure a number is.
    AsOf => "{} 时所知", "As known at {}";
    AllHeard => "一分钟内已收到所有已登记节点的消息", "Every enrolled node was heard from within a minute";
    OnlyNode => "本辖区尚未登记其他节点", "No other node is enrolled yet";
    SilentNodes => "{} 个节点尚无消息：{}", "{} nodes have not been heard from: {}";
    SilentSince => "{}（最后 {}）", "{} (last {})";
    SilentNever => "{}（启动后未收到）", "{} (not since this node started)";
    LagSince => "本页截至 {}，尚有 {} 条待整理", "This page stands as of {}; {} events are not in it yet";
    LagUnknown => "本页还不完整，尚有 {} 条待整理", "This page is not complete yet: {} events are not in it";
    StillFolding => "正在整理，暂时不能确定", "still being read in: not known yet";
    LiveLost => "与本节点失去联系，最后更新于 {}", "No connection to this node; last updated {}";
    LiveSignedOut => "登录已失效。您填写的内容仍在：请在另一个窗口登录，再回到这里提交。",
        "The session has ended. What you typed is still here: sign in in another window, then come back and submit.";
    LiveHeld => "此页另有更新。您正在填写的部分未动，提交后即显示最新内容。",
        "There is news for this page. What you are filling in was left alone; submit it to see the rest.";
    LiveOn => "实时更新中", "Updating live";
    LiveOff => "此页不会自动更新", "This page does not update by itself";

    // Signing in.
    SignInIntro => "请输入一次性登录码。登录码由本节点的管理员发放，24 小时内有效，只能用一次。",
        "Enter your one-time code. The person who runs this node issues it; it is valid for 24 hours and works once.";
    SignInCode => "一次性登录码", "One-time code";
    SignInCodeHint => "例如 7KQ4-M2XD，不分大小写", "Such as 7KQ4-M2XD; upper or lower case";
    SignInNeeded => "请先登录", "Please sign in first";
    OperatorsTitle => "登录码与会话", "Sign-in codes and sessions";
    IssueCode => "发放登录码", "Issue a sign-in code";
    OperatorName => "姓名", "Name";
    OperatorNameHint => "将写入该操作人签署的每条记录", "It will stand in every event they record";
    CodeIssuedFor => "一次性登录码（24 小时内有效），发放给", "One-time code (valid 24 hours) for";
    CodeShownFor => "本页十分钟内可重新打开；之后不再显示。发放已记入本节点日志。",
        "This page shows it again for ten minutes, then no more. Its issuing stands in this node's log.";
    CodeNotShown => "该登录码已用过，或已超过十分钟，不再显示。", "That code was used, or ten minutes are over: it is not shown any more.";
    MayNotIssue => "您的登录码由同事发放，因此不能再发放或收回。请找能登录本机的管理员。",
        "Your own code was issued by a colleague, so you cannot issue or revoke any. Ask whoever can work on this machine.";
    WaitingCodes => "尚未使用的登录码", "Codes that nobody has used";
    Sessions => "已登录的会话", "Sessions";
    IssuedBy => "发放人", "Issued by";
    ByThisMachine => "本机启动时", "this machine, at its start";
    IssuedAt => "发放时间", "Issued";
    SignedInAt => "登录时间", "Signed in";
    LastUsed => "最近使用", "Last used";
    NotSinceStart => "启动后未使用", "Not since the start";
    EndsAt => "到期", "Ends";
    OnRecord => "日志记录", "On record";
    OnRecordWhenUsed => "使用时记录", "When it is used";
    Revoke => "收回", "Revoke";
    RevokeCode => "收回登录码", "Revoke this code";
    EndSession => "结束会话", "End this session";
    MayIssue => "可发放登录码", "May issue codes";

    // Receipts.
    ReceiptHere => "已存本节点", "Stored on this node";
    ReceiptOthers => "其他节点已有 {} 个", "Other nodes that have it: {}";
    ReceiptWaiting => "尚未得到其他节点确认；断网时会在恢复后自动送达。",
        "No other node has confirmed it yet; in a cut it is delivered when the link returns.";
    ReceiptOpen => "查看记录", "Open the record";
    ReceiptTitle => "已记录", "Recorded";
    OutsideTitle => "已记录，尚不计入", "Recorded, does not count yet";
    OutsideBefore => "此记录属于区划 {}，不在本节点辖区内。您的操作会被记录并送达，但在该区划或其上级的人采纳之前不计入。可采纳的节点：{}。",
        "This record belongs to area {}, which is not this node's. What you do is recorded and delivered, and does not count until somebody there or above adopts it. Nodes where that can be done: {}.";
    OutsideAfter => "此记录属于区划 {}，不在本节点辖区内：在该区划或其上级的人采纳之前不计入。请联系其中一个节点，请他们在该记录页面上选“采纳辖区外的行为”：{}。",
        "This record belongs to area {}, which is not this node's: it does not count until somebody there or above adopts it. Ask at one of these nodes for “Adopt acts from outside” on the record's page: {}.";
    NoAdopterKnown => "本节点还不知道有这样的节点", "this node knows of none yet";
    AndSoMany => "{} 等 {} 个", "{} and others, {} in all";
    AdoptedThere => "由当地或上级采纳", "adopted there or above";

    // What can go wrong.
    ErrorTitle => "没有完成", "Not done";
    Particulars => "详情", "Details";
    Technical => "技术信息", "For technicians";
    NodeKeys => "节点公钥", "Node keys";
    NotHereRecord => "本节点没有的记录", "a record that is not here";
    NotHereEntry => "本节点没有的条目", "an entry that is not here";
    NothingLost => "您填写的内容都在。", "What you typed is kept.";
    ErrNotFound => "这里没有这个页面或记录", "There is no such page or record here";
    ErrNotFoundNext => "请从值守台或列表重新进入；记录也可能尚未同步到本节点",
        "Start again from the desk or a list; a record may also not have reached this node yet";
    ErrStillFolding => "本节点还在整理记录，暂时没有这一条", "This node is still reading its logs in; the record is not here yet";
    ErrMethod => "此地址不接受这种请求", "This address does not take that kind of request";
    ErrMethodNext => "见 /api/v1/openapi.json", "See /api/v1/openapi.json";
    ErrSignIn => "请先登录", "Sign in first";
    ErrSignInNext => "在 /sign-in 输入一次性登录码；程序请使用 Authorization: Bearer",
        "Enter a one-time code at /sign-in; programs use Authorization: Bearer";
    ErrSessionEnded => "登录已失效，尚未提交", "The session has ended; nothing was submitted yet";
    ErrSessionEndedNext => "请重新登录，随后核对并提交。", "Sign in again, then check and submit.";
    ErrSignedInAgain => "已重新登录，尚未提交", "You are signed in again; nothing was submitted yet";
    ErrSignedInAgainNext => "请核对后提交。", "Check it and submit.";
    ErrToken => "令牌无效", "This token is not valid";
    ErrTokenNext => "令牌在数据目录的 api-token 文件中", "The token is in the file api-token of the data directory";
    ErrBearerOnly => "此操作只接受命令行令牌", "Only the command line's token may do this";
    ErrHost => "不以这个主机名提供服务：{}", "Not served under this host name: {}";
    ErrHostNext => "请用 IP 地址或 localhost 访问，或在配置 host_names 中加入该名称",
        "Use an IP address or localhost, or add the name to host_names in the configuration";
    ErrOrigin => "请求来自别的网站，已拒绝", "The request comes from another site and was refused";
    ErrOriginNext => "请从本节点的页面提交；程序请使用 Authorization: Bearer",
        "Submit from this node's own pages; programs use Authorization: Bearer";
    ErrFormToken => "此表单已过期", "This form is out of date";
    ErrFormTokenNext => "请再提交一次。", "Submit it again.";
    ErrTooLarge => "内容过大，上限 {} KiB", "Too large: at most {} KiB";
    ErrTooLargeNext => "请分几次提交", "Send it in parts";
    ErrTooMany => "操作过于频繁", "Too many requests";
    ErrTooManyNext => "请在 {} 秒后再试", "Try again in {} seconds";
    ErrSlow => "处理超时", "It took too long";
    ErrSlowNext => "什么都没有记录；请再试一次", "Nothing was recorded; try again";
    ErrOutcomeUnknown => "处理超时：这项操作可能已经记录，也可能还在记录",
        "It took too long: the act may have been recorded, or may still be";
    ErrOutcomeUnknownNext => "请返回上一页，把同一张表单原样再提交一次：不会记录两次。",
        "Go back a page and submit the same form again as it is: it is not recorded twice.";
    ErrOutcomeUnknownMore => "程序：用同一 Idempotency-Key 再发一次；查询：GET /api/v1/acts/{}",
        "Programs: send it again with the same Idempotency-Key; to ask: GET /api/v1/acts/{}";
    ErrActId => "操作编号应为 1 至 200 个可见 ASCII 字符", "An act id is 1 to 200 visible ASCII characters";
    ErrActIdNext => "最好用客户端生成的 UUID", "Best a UUID that the client draws";
    ErrFormActId => "表单的操作编号读不出来，没有记录任何内容", "The act id of this form cannot be read: nothing was recorded";
    ErrFormActIdNext => "表单已重新显示并换了编号，请核对后再提交", "The form is shown anew with another id: check it and submit again";
    ErrNodeKey => "节点公钥应为 64 位小写十六进制数字，或 unknown", "A node key is 64 hexadecimal digits in lower case, or unknown";
    ErrNodeKeyNext => "见 /api/v1/strangers 的 brought_by", "See brought_by at /api/v1/strangers";
    ErrActUnknown => "截至 {}，本节点没有记录这项操作（另有 {} 个节点未联系上）",
        "As of {} this act is not recorded here ({} nodes have not been heard)";
    ErrActUnknownNext => "可用同一编号再发送一次：只会记录一次", "Send it again under the same id: it is recorded once";
    ErrActReused => "这张表单已经记录过另一项内容", "This form has recorded something else already";
    ErrActReusedMore => "编号 {} 已用于另一项操作：记录 {}，内容 {}；这次的内容是 {}",
        "The id {} is another act's: record {}, content {}; this one has content {}";
    ErrActReusedNext => "先前那次已经记录。如果这确实是另一件事，请再提交一次（程序：换一个编号）。",
        "The earlier one is recorded. If this is another matter, submit it once more (programs: under another id).";
    ErrClockWrongNext => "请先校准本机时钟；若确认本机时钟正确，请勾选后再提交。",
        "Put this machine's clock right first; if you are sure that it is right, tick the box and submit again.";
    ErrClockWrongMore => "程序：Clock-Checked: yes；命令行：--clock-checked", "Programs: Clock-Checked: yes; command line: --clock-checked";
    ClockChecked => "我已核对，本机时钟正确", "I have checked: this machine's clock is right";
    DurableNotShown => "已存本节点，页面暂时还不能显示", "Stored on this node; the pages cannot show it yet";
    DurableNotShownNext => "不必再提交。请查看状态页。", "There is no need to submit it again. Look at the status page.";
    ErrNotDurable => "未能存盘，操作没有确认", "The disk did not take it: the act is not confirmed";
    ErrNotDurableNext => "请查看状态页；磁盘恢复后把同一张表单再提交一次，或用同一编号再发一次",
        "Look at the status page; when the disk is well again, submit the same form again, or send it under the same id";
    ErrActsBusy => "等待记录的操作太多，暂不受理；可能正在成批导入", "Too many acts wait to be recorded; a batch may be under way";
    ErrBusy => "正在发送的请求太多，暂不受理", "Too many requests are on their way at once";
    ErrBusyNext => "请稍后再试；没有记录任何内容", "Try again in a moment; nothing was recorded";
    ErrOtherDirectory => "应答的节点使用另一个数据目录：这里的目录可能是副本", "The node that answers uses another data directory: this one may be a copy";
    ErrOtherDirectoryNext => "用 --data-dir 指明运行中节点的目录；副本不要与原件同时运行", "Name the running node's directory with --data-dir; never run a copy beside the original";
    ErrMetrics => "指标只供本机或持有本机令牌的程序读取", "These figures are for this machine, and for programs with its token";
    ErrMetricsNext => "请带 Authorization: Bearer（数据目录中的 api-token）再试，或设置 metrics_open = true",
        "Send Authorization: Bearer with the data directory's api-token, or set metrics_open = true";
    LossesTitle => "缺失，待确认", "Missing, not accepted yet";
    LossesAccept => "确认缺失", "Accept the loss";
    LossesAcceptHint => "确认后不再作为故障提示，列表中保留确认人和时间；之后新的缺失会重新提示。能从其他节点或U盘找回的，请先找回。",
        "Then it is trouble no more, and stays in the list with who accepted it and when; whatever is missing after this is trouble anew. Get back first what another node or a stick has.";
    LossesMayNot => "由能发放登录码的管理员确认", "Those who may issue sign-in codes accept it";
    ErrMayNotIssue => "您的登录码由同事发放，不能再发放或收回登录码", "Your own code was issued by a colleague: you cannot issue or revoke codes";
    ErrMayNotIssueNext => "请能登录本机的管理员发放。", "Ask whoever works on this machine to issue it.";
    ErrMayNotIssueMore => "命令行：linli invite --operator 姓名", "Command line: linli invite --operator NAME";
    ErrCode => "登录码无效：可能有误、已用过或超过 24 小时",
        "This code is not valid: mistyped, used already, or older than 24 hours";
    ErrCodeNext => "请核对后重试，或请管理员重新发放", "Check it and try again, or ask for a new one";
    ErrContentType => "需要 Content-Type: application/json", "Content-Type: application/json is needed";
    ErrContentTypeNext => "请设置该请求头", "Set that header";
    ErrJson => "JSON 有误：{}", "The JSON is wrong: {}";
    ErrJsonNext => "见 /api/v1/openapi.json", "See /api/v1/openapi.json";
    ErrNearest => "{} 不存在；是否应为 {}？", "{} does not exist; did you mean {}?";
    ErrQuery => "参数有误：{}", "A parameter is wrong: {}";
    ErrBatch => "一次最多 {} 条", "At most {} at a time";
    ErrNotAllowed => "本节点无权在此写入", "This node may not write that here";
    ErrNotAllowedNext => "请由有授权的节点操作，或向上级申请授权",
        "A node with the right must do it, or ask a higher level for the grant";
    ErrInternal => "节点内部错误，操作未确认", "An internal error; the act is not confirmed";
    ErrInternalNext => "请再试一次；若仍失败请查看节点日志", "Try again; if it fails again, read the node's log";
    ErrInputNext => "请改正后再提交", "Correct it and send it again";
    ErrRequest => "地址或参数有误", "The address or a parameter of it is wrong";
    ErrBody => "请求内容不完整", "The body broke off or is framed wrongly";
    ErrBodyNext => "请再发送一次", "Send it again";
    ErrNothingToDo => "没有变化，无需记录", "Nothing would change, so nothing was recorded";
    ErrNothingToDoNext => "请先改动再提交；若是重复提交，先前的已经记录",
        "Change something first; if you sent it twice, the first was recorded";
    ErrNotReady => "节点尚未就绪", "The node is not ready yet";
    ErrNotReadyNext => "请稍候再试", "Try again in a moment";
    ErrField => "{}：{}", "{}: {}";
    FieldOfPrograms => "{}（{}）", "{} ({})";
    ErrFieldNumber => "需要整数", "a whole number is needed";
    ErrFieldQuantities => "每行应为：名称 空格 整数", "each line is a name, a space and a whole number";
    ErrFieldDegrees => "应为度数，例如 31.29901", "degrees such as 31.29901 are needed";
    ErrTextChanged => "您打开之后文本已被他人修改", "The text was changed by somebody else since you opened it";
    ErrTextChangedNext => "现在的文本列在下方，请合并后再提交", "The present text is shown below: merge the two and submit again";
    ErrFieldNext => "请改好标出的这一项，再提交。", "Correct this field, then submit again.";
    ErrFieldAtLeast => "不能小于 {}", "{} is the least";
    ErrFieldMissing => "必须填写", "needs to be filled in";

    // The phone.
    PhoneTitle => "现场操作", "On the spot";

    // Acts.
    DoReportIncident => "上报事件", "Report an incident";
    DoVerifyIncident => "核实", "Verify";
    DoAssignIncident => "派任务", "Assign a task";
    DoUpdateIncident => "续报", "Add an update";
    DoLinkIncident => "关联重复事件", "Link a duplicate";
    DoCloseIncident => "结束事件", "Close the incident";
    DoReopen => "重新打开", "Open again";
    DoReportHazard => "上报隐患", "Report a hazard";
    DoFileHazard => "立案", "File";
    DoDispatchHazard => "派遣", "Dispatch";
    DoHandleHazard => "登记处理", "Record what was done";
    DoAnswerHazard => "反馈上报人", "Answer the reporter";
    DoCloseHazard => "核查结案", "Check and close";
    DoIssueSupplies => "领用物资", "Issue supplies";
    DoReceiveSupplies => "入库", "Receive supplies";
    DoSendSupplies => "调拨到另一物资点", "Send to another supply point";
    DoArriveSupplies => "确认调入", "Confirm an arrival";
    DoCountSupplies => "盘点", "Count stock";
    DoAdjustSupplies => "损耗或找回", "Adjust for loss or finds";
    DoCheckInTeam => "队伍报到", "Check in a team";
    DoDeployTeam => "派出队伍", "Deploy the team";
    DoReleaseTeam => "队伍归队", "Release the team";
    DoCertifyMember => "登记证书", "Record a certificate";
    DoDraftPlan => "起草预案", "Draft a plan";
    DoEditPlan => "修改预案文本", "Edit the plan's text";
    DoApprovePlan => "批准当前文本", "Approve the present text";
    DoIssuePlan => "发布当前文本", "Issue the present text";
    DoSupersedePlan => "由另一预案取代", "Replace by another plan";
    DoSettle => "裁定冲突", "Settle the conflict";

    // Fields of acts.
    Category => "类别", "Category";
    CategoryHint => "例如 火灾、暴雨积水、燃气泄漏、人员被困", "Such as fire, flooding, gas leak, people trapped";
    HazardCategoryHint => "例如 消防通道堵塞、电线裸露、墙体开裂",
        "Such as a blocked fire lane, bare wires, a cracked wall";
    Grade => "隐患等级", "Grade";
    GradeGeneral => "一般隐患", "general";
    GradeMajor => "重大隐患", "major";
    EvenIfTeamsThere => "仍有队伍在场也结束", "Even if teams are still there";
    CountedToSettleHint => "请现场盘点后填写；账面将以此为准", "Count what is there; the books follow it";
    AsideInUnit => "另有 {} {} 未计入（单位不同）", "{} {} set aside (another unit)";
    Severity => "级别", "Severity";
    SeverityOne => "Ⅰ级 特别重大", "I, extraordinarily serious";
    SeverityTwo => "Ⅱ级 重大", "II, serious";
    SeverityThree => "Ⅲ级 较大", "III, considerable";
    SeverityFour => "Ⅳ级 一般", "IV, ordinary";
    Place => "地点", "Place";
    PlaceHint => "楼栋、单元、门牌或明显标志物；请勿填写姓名", "Building, entrance, number or landmark; no names of people";
    Summary => "情况", "What happened";
    SummaryHint => "不写个人姓名和电话", "No names or telephone numbers of people";
    Note => "备注", "Note";
    AssigneeTeam => "由哪支队伍处理", "Team that shall do it";
    AssigneePost => "或由哪个岗位、单位处理", "Or the post or body that shall do it";
    AssigneeHint => "队伍与岗位二选一", "Either a team or a post";
    Task => "任务", "Task";
    WhatIsNew => "新情况", "What is new";
    Dead => "死亡（人）", "Dead";
    Injured => "受伤（人）", "Injured";
    Missing => "失联（人）", "Missing";
    SameAs => "与此事件相同", "The same as";
    Outcome => "处置结果", "Outcome";
    Reason => "原因", "Reason";
    Due => "整改期限", "Due";
    DispatchTo => "派给", "To whom";
    WhatWasDone => "处理情况", "What was done";
    ToldReporter => "告知内容", "What they were told";
    Finding => "核查结论", "What the check found";
    FindingHint => "核查人不能是处理人", "Whoever handled it cannot close it";
    Item => "物资", "Item";
    BinsHint => "先到期的批次排在前", "Lots that expire first come first";
    Quantity => "数量", "Quantity";
    CountedQuantity => "实有数量", "Quantity found";
    ItemsHint => "先到期的批次自动先出", "Lots that expire first leave first by themselves";
    Transfer => "在途调拨", "Transfer under way";
    ArrivedQuantity => "实收数量", "Quantity that arrived";
    ArrivedQuantityHint => "在途的全部到齐时不必填写；分批到的，填这一批的数量", "Leave empty when all that is on the way arrived; of a part, say how much it is";
    EvenIfMore => "多于在途也照收（差异留待说明）", "Even if more arrived than is on the way (the difference is left to be explained)";
    DoSetPoint => "修改物资点档案", "Edit the profile";
    DoSetTeam => "修改队伍档案", "Edit the profile";
    PostHint => "写岗位，不写姓名", "A post, not a person's name";
    LatitudeHint => "度，例如 31.29901", "Degrees, such as 31.29901";
    LongitudeHint => "度，例如 120.58532", "Degrees, such as 120.58532";
    Minimums => "各物资最低储备", "Minimum of each item";
    MinimumsHint => "每行一种：物资名 空格 数量", "One per line: item, a space, quantity";
    TeamKind => "队伍类型", "Kind of team";
    TeamKindHint => "微型消防站、邻里互助组、楼栋队", "Micro fire station, mutual-help group, building team";
    TeamLead => "负责岗位", "Led by (post)";
    Role => "职责", "Role";
    EvenIfShort => "账面不足也照发（现场确有实物）", "Even if the books show less (it is really there)";
    IssueTo => "领用单位或岗位", "Issued to (unit or post)";
    IssueToHint => "写单位、楼栋或岗位，不写个人姓名和电话：本栏以明文复制到全区各节点",
        "A unit, building or post; no person's name or telephone number: this field is copied in clear to every node of the district";
    ForIncident => "用于事件", "For incident";
    FromIncident => "从哪个事件归队", "Back from incident";
    Unit => "单位", "Unit";
    UnitHint => "例如 条、箱、台", "Such as pieces, boxes";
    Lot => "批次", "Lot";
    NoLot => "无批次", "no lot";
    Expires => "有效期至", "Expires";
    ReceivedFrom => "来源", "From";
    ToPoint => "调往", "To supply point";
    Delta => "增减数量", "Change";
    DeltaHint => "减少请填负数；只有找回填正数", "Negative for losses; positive only for what was found";
    ReasonLost => "丢失", "lost";
    ReasonDamaged => "损坏", "damaged";
    ReasonExpired => "过期", "expired";
    ReasonFound => "找回", "found again";
    CheckInPlace => "所在位置", "Where it stands";
    Readiness => "战备情况", "Readiness";
    ReadinessReady => "齐装满员，可出动", "complete and able to go";
    ReadinessLimited => "人员或装备不足，可有限出动", "able to go with less";
    ReadinessUnavailable => "不能出动", "not able to go";
    People => "人数", "People";
    Member => "队员编号", "Member number";
    MemberHint => "队内编号，不用身份证号", "The team's own number, not an identity number";
    PersonalHint => "个人信息，只在有权节点显示", "Personal; shown only on nodes with the right";
    Certificate => "证书", "Certificate";
    CertificateNumber => "证书编号", "Certificate number";
    Issuer => "发证机构", "Issued by";
    ValidTo => "有效期至", "Valid to";
    PlanTitle => "标题", "Title";
    Tier => "层级", "Tier";
    TierHousehold => "家庭", "household";
    TierBuilding => "楼栋", "building";
    TierCommunity => "小区", "community";
    Scope => "适用范围", "Scope";
    ScopeHint => "例如 3 号楼、解放路社区", "Such as building 3";
    PlanHazards => "针对的灾害", "Hazards";
    OnePerLine => "每行一项", "One per line";
    PlanText => "预案正文", "Text of the plan";
    ByPlan => "取代它的预案", "The plan that replaces it";
    KeepSide => "以哪一方为准", "Which side holds";
    KeepSideHint => "不选表示各方都保留", "None chosen: all stand";
    Decision => "裁定说明", "The decision in words";
    ChoosePoint => "从哪个物资点？", "From which supply point?";
    ChooseTeam => "哪支队伍？", "Which team?";
    ChooseIncident => "哪个事件？", "Which incident?";
    ChooseHazard => "哪个隐患？", "Which hazard?";
    ChoosePlan => "哪份预案？", "Which plan?";

    // Record pages.
    Reported => "上报内容", "As reported";
    Losses => "伤亡", "Casualties";
    TeamsHere => "在场队伍", "Teams at the scene";
    Assignee => "承办", "Assigned to";
    TransferNumber => "调拨编号", "Transfer";
    ImportReference => "导入编号", "Import reference";
    TextChange => "文本改动", "Change of text";
    ChangeBytes => "{} 字节，已并入正文", "{} bytes, merged into the text";
    TextVersion => "文本版本", "Version of the text";
    Telephone => "电话", "Telephone";
    Assignments => "任务", "Tasks";
    Handling => "处理过程", "Handling";
    NotHandledYet => "尚未派遣处理", "Not dispatched yet";
    Overdue => "已逾期", "Overdue";
    Stock => "库存", "Stock";
    NoStock => "没有登记库存", "No stock on record";
    Balance => "结存", "Balance";
    Minimum => "最低储备", "Minimum";
    Lots => "批次", "Lots";
    NotSet => "未设", "not set";
    Overdrawn => "负库存，需盘点", "Overdrawn: recount";
    BelowMinimum => "低于最低储备", "Below minimum";
    TwoCounts => "两次盘点不一致：{}，暂取较低值", "Counts that disagree: {}; the lower is shown";
    Profile => "档案", "Profile";
    Movements => "最近出入库", "Recent movements";
    WrittenAtOnce => "同时写入、互不知情：", "Written at once without seeing each other:";
    LinesToRead => "有人同时改了同一处", "changed in one place by two people at once";
    LinesToReadHelp => "有人在互不知情时改了同一处：各自写的整行都保留在下面。请通读，改好后保存；无需改动也请原样保存一次。",
        "Two people wrote at the same place without seeing each other; the lines of both stand below, whole. Read them and save the text as it shall be, unchanged if all is right.";
    PlansToRead => "需要通读的预案", "Plans to be read";
    Unrenderable => "{} 处修改暂无法显示", "{} changes cannot be shown";
    Whereabouts => "位置与出动", "Whereabouts";
    Deployments => "出动中", "Deployed to";
    Certificates => "证书", "Certificates";
    CertifiedPeople => "持证在册 {} 人", "{} certified people on the roster";
    Certified => "持证达标", "Certified";
    NotCertified => "持有效证书的在册人员不足 3 名", "Fewer than 3 certified people on the roster";
    Writers => "编写人", "Writers";
    Approvals => "批准", "Approvals";
    InForce => "有效发布", "In force";
    TextInForce => "已发布文本", "Text in force";
    PresentText => "当前文本", "The present text";
    EarlierText => "其他版本的文本", "Another text";
    Outline => "概要", "Outline";
    BuildingNumber => "楼栋编号", "Building number";
    Households => "户数", "Households";
    Residents => "居民数", "Residents";
    Post => "岗位", "Post";
    ContactBelow => "姓名和电话属个人信息，见下方经过（仅限有权节点）。",
        "Name and phone are personal: see the history below, on nodes with the right.";
    Expired => "已过期", "Expired";
    DaysLeft => "还剩 {} 天", "{} days left";
    RadiusMetres => "服务半径（米）", "Service radius (m)";
    Keeper => "管理岗位", "Keeper";
    Roster => "人员", "Roster";
    Kit => "装备", "Kit";
    Latitude => "纬度", "Latitude";
    Longitude => "经度", "Longitude";
    WhatToDo => "可以做的事", "What can be done";
    Marks => "须留意的操作", "Acts to be aware of";
    OutsideWaits => "辖区外的行为：{} 条，等此记录所属辖区的人采纳后才计入", "Acts from outside: {}; they count once somebody of the record's area adopts them";
    FromOutsideNotCounted => "辖区外，未计入", "from outside, not counted";
    RepeatedActs => "重复送达的行为：{} 条，只计一次", "Acts that were sent again: {}; they count once";
    ActsFromOutside => "辖区外行为 {} 条待采纳", "{} acts from outside to adopt";
    Adoptions => "待采纳的外来行为", "Acts from outside";
    AllCrossChecks => "全部 {} 项对照", "All {} cross-checks";
    ExplainedThere => "由当地说明", "explained there";
    CheckNotOpen => "这条对照已经说明，或记录之间已不再矛盾。", "This contradiction was explained, or the records do not contradict each other any more.";
    CrossChecks => "对照：记录之间的矛盾", "Cross-checks between records";
    ExpiredPlans => "已到期的预案", "Plans that have expired";
    DoAdoptActs => "采纳辖区外的行为", "Adopt acts from outside";
    DoExplainCheck => "说明这条对照", "Explain the contradiction";
    Explanation => "核实情况", "What was found";
    NotCounted => "不计入的事件：{} 条（其中 {} 条在等授权）", "Events that do not count: {} ({} wait for a grant)";
    MissingParents => "还缺 {} 条在先事件，尚未到达本节点", "{} earlier events have not reached this node";
    UnknownEvents => "{} 条事件的类别本程序不认识", "{} events are of kinds that this program does not know";

    // The desk and lists.
    ToDoNow => "现在要处理", "To do now";
    AllActs => "全部操作", "All acts";
    Gravest => "最高：{}", "gravest: {}";
    OverdueCount => "{} 项已逾期", "{} overdue";
    GoneCount => "{} 种已用完", "{} used up";
    ExpiredCount => "{} 批已过期", "{} expired";
    UpdatedAt => "更新", "updated";
    HappenedAt => "发生", "happened";
    SentAt => "发出", "sent";
    PilotFigures => "试点指标", "Pilot figures";
    Conflict => "冲突", "Conflict";
    Conflicts => "待裁定的冲突", "Conflicts to settle";
    NoConflicts => "没有待裁定的冲突", "Nothing to settle";
    ConflictIntro => "断网期间各方互不知情地操作了同一件事。没有任何一方被覆盖，由人裁定。",
        "Both sides acted on the same thing without knowing of each other. Nothing was overwritten; a person decides.";
    SettledConflicts => "已裁定的冲突", "Settled conflicts";
    SettledBy => "裁定：", "Settled:";
    SettledTwice => "有互不知情的不同裁定，请再裁定一次", "Settled differently without seeing each other: settle once more";
    SideHolds => "以此为准", "Holds";
    SidePutAside => "未采用，仍可查阅", "Put aside, still readable";
    SeeHistory => "查看完整经过", "See the history";
    OpenIncidents => "进行中的事件", "Open incidents";
    NoOpenIncidents => "没有进行中的事件", "No open incidents";
    OpenHazards => "未结案的隐患", "Open hazards";
    NoOpenHazards => "没有未结案的隐患", "No open hazards";
    TeamsByReadiness => "队伍（按战备）", "Teams by readiness";
    NoTeams => "没有登记队伍", "No teams on record";
    TeamDeployed => "出动中", "deployed";
    TeamReady => "可出动", "ready";
    TeamLimited => "有限", "limited";
    TeamUnavailable => "不能出动", "unavailable";
    NotCheckedIn => "未报到，情况不明", "not checked in, unknown";
    Members => "{} 名队员", "{} members";
    NotHeardFrom => "尚无消息的节点", "Nodes not heard from";
    Silent => "无消息", "silent";
    NeverHeard => "启动后未收到", "not since the start";
    ShortStock => "低于最低储备", "Below minimum";
    NoShortStock => "没有低于最低储备的物资", "Nothing below its minimum";
    ExpiringStock => "临期和过期", "Expiring and expired";
    NoExpiringStock => "没有临期物资", "Nothing is about to expire";
    InTransit => "调拨在途", "Under way";
    NoneInTransit => "没有在途调拨", "Nothing under way";
    UnderWay => "在途", "under way";
    ItemsShort => "{} 种低于最低储备", "{} items below minimum";
    ItemKinds => "{} 种物资", "{} kinds of items";
    Incomplete => "记录不完整", "incomplete";
    NoPosition => "无坐标", "no position";
    HouseholdsResidents => "{} 户，{} 人", "{} households, {} residents";
    Contacts => "联络人", "Contacts";
    FigurePoints => "物资点", "Supply points";
    FigureCovered => "楼栋覆盖率", "Buildings covered";
    FigureCoveredOf => "{} / {} 栋", "{} of {}";
    FigureNoPosition => "{} 栋无坐标，按未覆盖计", "{} without a position count as not covered";
    FigureCertified => "持证达标队伍", "Certified teams";
    FigureCertifiedOf => "共 {} 支；在册持证人员 ≥ {} 名为达标", "of {}; certified means at least {} people on the roster with a valid certificate";
    FigureResidents => "{} 位居民", "{} residents";
    DoFormPoint => "登记物资点", "Add a supply point";
    DoFormTeam => "登记队伍", "Add a team";

    // The residents' page.
    PublicRest => "以上列出 {} 项，共 {} 项；其余请询问街道值守员", "These are {} of {}; ask the street's duty officer for the rest";
    PublicIntro => "以下信息无需登录即可查看，不含个人信息。紧急情况请拨打 119、110、120。",
        "Open to everybody without signing in; no personal data. In an emergency call 119, 110 or 120.";
    SupplyPoints => "物资点", "Supply points";
    IssuedPlans => "已发布的预案", "Issued plans";
    NoneLeft => "暂无", "none left";
    SomeSilent => "{} 个节点尚无消息，情况可能不完整", "{} nodes have not been heard from; this may be incomplete";

    // Status page.
    StatusOk => "未发现问题", "No trouble found";
    StatusUnknown => "情况不明", "Not known";
    UnknownSilent => "{} 个节点尚无消息：不知道它们是否正常，也不知道它们之后写了什么",
        "{} nodes have not been heard from: whether they are well, and what they wrote since, is not known";
    UnknownDisk => "系统没有告知磁盘剩余空间", "The system does not say how much disk space is left";
    StatusDegraded => "需要处理", "Needs attention";
    ThisNode => "本节点", "This node";
    Version => "版本", "Version";
    NodeKey => "节点公钥", "Node key";
    AreaCode => "区划代码", "Area code";
    District => "辖区", "District";
    Federation => "联盟标识", "Federation";
    Started => "启动于", "Started";
    EventsHere => "本节点持有事件", "Events held here";
    RecordsHere => "记录数", "Records";
    Lag => "尚未汇入读模型", "Not yet in the read models";
    FrontierDigest => "日志头摘要", "Digest of heads";
    ProjectionDigest => "读模型摘要", "Digest of read models";
    DiskFree => "磁盘剩余", "Disk space left";
    StoreSize => "存储占用", "Store size";
    Reachability => "其他节点能否呼叫本节点", "Whether other nodes can call this one";
    ReachedDirectly => "能，直接呼叫", "Yes, directly";
    ReachedByRelay => "能，经邻居中继", "Yes, through a neighbour's relay";
    ReachedByNobody => "不能，由本节点呼叫它们", "No; this node calls them";
    Forks => "日志分叉", "Forks";
    Peers => "其他节点", "Other nodes";
    Connected => "已连接", "Connected";
    NotConnected => "未连接", "Not connected";
    AttemptFailed => "上次未连通：{}", "Last attempt failed: {}";
    LastHeard => "最后消息", "Last heard";
    RoundTrip => "往返", "Round trip";
    FromPeer => "对方 → 本节点", "From them to here";
    ToPeer => "本节点 → 对方", "From here to them";
    NothingWaits => "没有等待传送的", "Nothing waits";
    WaitingEvents => "{} 条等待", "{} events wait";
    WaitingBytes => "约 {}", "about {}";
    SizeUnknown => "大小未知", "size unknown";
    LinkSpeed => "实测 {}/s", "measured {}/s";
    SpeedUnknown => "速度未知", "speed unknown";
    TimeUnknown => "所需时间未知", "time unknown";
    AboutSeconds => "约需 {} 秒", "about {} s";
    AboutMinutes => "约需 {} 分钟", "about {} min";
    AboutHours => "约需 {} 小时", "about {} h";
    LinksAsOf => "链路情况截至 {}", "Lines as of {}";
    Misbehaves => "行为异常", "Misbehaves";
    MisbehavedSince => "自 {} 起 {} 次，最近 {}", "since {}, {} times, last {}";
    ClockAhead => "时钟比本节点快 {}", "its clock is {} ahead of this node's";
    ClockBehind => "时钟比本节点慢 {}", "its clock is {} behind this node's";
    LetBackAt => "{} 起重新往来", "Spoken to again from {} on";
    MisbehavingPeer => "节点 {} 行为异常：{}", "Node {} misbehaves: {}";
    StrangersOf => "{} 带来的未授权日志：{} 个，{}，占上限的 {}%", "Logs without a grant that {} brought: {}, {}, {}% of its quota";
    StrangersUnknown => "导入的或来源不明的未授权日志：{} 个，{}", "Logs without a grant, imported or of unknown origin: {}, {}";
    StrangersHint => "不计入任何记录，也不转发；本机管理员可以删除，日志头留作证据。",
        "They count for nothing and are handed on to nobody; whoever works on this machine can remove them, and their heads stay as proof.";
    OnCommandLine => "命令行", "On the command line";

    // Why a node does not replicate with us.
    ReasonLinkLost => "连接中断", "the connection ended";
    ReasonNoProtocol => "对方不是邻里节点，或版本不合", "it does not speak this protocol";
    ReasonHelloClosed => "对方在握手时断开", "it ended the hello";
    ReasonHelloMalformed => "握手内容有误", "what it said in the hello is no hello";
    ReasonOtherFederation => "不属于本辖区联盟", "it is not of this federation";
    ReasonNotEnrolled => "未登记为本辖区节点", "its credentials do not enrol it as a node";
    ReasonRefusedByPeer => "对方不承认本节点的登记", "it refuses our credentials";
    ReasonIsCopy => "是某节点的副本，该节点正从别处连接", "it is a copy of a node that is connected from elsewhere";
    ReasonWeAreCopied => "对方正与本节点的副本往来", "it replicates with a copy of this node";
    ReasonNoRandomness => "本机无法取得随机数", "this machine has no randomness";
    ReasonHelloTimeout => "握手超时", "the hello was not completed in time";
    ReasonGarbage => "发来无法识别的数据", "it sent bytes that are no message";
    ReasonTooManyWants => "同时索取过多", "it asked for too much at once";
    ReasonWantTwice => "重复使用同一请求编号", "it used the number of an open request again";
    ReasonTooMuchCredit => "给出的额度超过上限", "it gave more credit than allowed";
    ReasonCreditOverrun => "发送超出所给额度", "it sent more than it had credit for";
    ReasonComparesWithoutEnd => "反复比对，没有尽头", "it compares without end";
    ReasonUnasked => "发来未索取的内容", "it sent what was not asked for";
    ReasonFrameTooLong => "一次发来的记录过长", "it sent more at once than is allowed";
    ReasonConfirmedUnsent => "声称收到从未发出的内容", "it confirmed what was never sent";
    ReasonReplacesWants => "未等答复又反复索取", "it asks again and again before it is answered";
    ReasonSendsWhatIsThere => "反复发来已有的记录", "it sends again what was sent already";
    ReasonBrokenPromises => "反复声称有却不发", "it announces again and again what it never sends";
    ReasonBadFrame => "发来的记录无法核验", "it sent events that do not verify";
    ReasonStalled => "答应发送却一直不发", "it did not send what it announced";
    ReasonTrickles => "一条消息迟迟发不完", "it does not finish a message that it began";
    ReasonStreams => "无端打开大量通道", "it opens stream after stream";
    ReasonVisits => "反复断开重连", "it connects again and again";
    ReasonNotReading => "不接收发给它的内容", "it does not read what is sent to it";

    Address => "地址", "Address";
    Logs => "日志", "Logs";
    LogName => "日志", "Log";
    Height => "高度", "Height";
    HeadId => "头", "Head";
    Projected => "已汇入", "Folded";
    OwnLog => "本节点所写", "Written here";
    Name => "名称", "Name";
    State => "状态", "State";
    NoPeersYet => "还不知道任何其他节点。", "No other node is known yet.";

    // History.
    History => "完整经过", "Full history";
    HistoryIntro => "最新在上。每条都由写入者的密钥签名，谁也不能事后改动。",
        "Newest first. Each entry is signed by its author's key; nobody can change it afterwards.";
    NodeAttested => "{}（由{}节点代签）", "{} (signed for them by the node {})";
    VerdictExpired => "授权已过期", "The grant had expired";
    VerdictWaiting => "待核：授权尚未到达本节点", "Waiting: the grant has not reached this node";
    VerdictRefused => "不计入：{}", "Does not count: {}";
    PersonalShown => "个人信息（仅限有权节点）：", "Personal data (only on nodes with the right):";
    PersonalNotHere => "个人信息不在本节点，或已删除", "Personal data is not on this node, or was erased";
    UnseenOf => "共 {} 条，列出最近 {} 条：", "{} in all; the latest {}:";
    HistoryPart => "第 {} 至 {} 条，共 {} 条", "Lines {} to {} of {}";
    EarlierLines => "更早的记录", "Earlier";
    LaterLines => "更近的记录", "Later";
    UnseenTitle => "签署时，作者尚未看到以下在先记录：", "When signing, the author had not seen these earlier entries:";
    GradeSigned => "本条有独立签名", "Signed by itself";
    GradeCovered => "由同一日志的后续签名证明", "Proven by a later signature of the same log";
    SeenNone => "签署时未见过此记录的其他条目", "had seen no other entry of this record when signing";
    SeenSome => "签署时已看到在先 {} 条", "had seen {} earlier entries when signing";
    EventIdLabel => "事件编号", "Event id";
    AuthorKeyLabel => "签名公钥", "Author key";
    KindLabel => "类别", "Kind";
    ParentsLabel => "所见最新条目", "Latest entries seen";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_filled_in_order() {
        assert_eq!(Lang::Zh.fill(Word::SilentNodes, &[&3, &"甲、乙、丙"]), "3 个节点尚无消息：甲、乙、丙");
        assert_eq!(Lang::En.fill(Word::AsOf, &[&"14:05"]), "As known at 14:05");
    }

    #[test]
    fn the_chinese_texts_are_chinese_and_the_english_are_not() {
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for word in Word::ALL {
            assert!(!chinese(word.en()) || *word == Word::OtherLanguage, "{word:?} is not English: {}", word.en());
            let letters = word.zh().replace("{}", "").chars().any(char::is_alphabetic);
            assert!(!letters || chinese(word.zh()) || *word == Word::OtherLanguage, "{word:?}: {}", word.zh());
        }
    }

    #[test]
    fn languages_have_names() {
        assert_eq!(Lang::named("en"), Some(Lang::En));
        assert_eq!(Lang::named(Lang::Zh.name()), Some(Lang::Zh));
        assert_eq!(Lang::named("de"), None);
    }
}
