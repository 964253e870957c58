/** Every code of Qianzhi, once: HTTP status, who must act, whether the same request may succeed later, and the texts. See errors.ts. */

import type { LocalizedText } from './localized.ts'

/** Who must act before the thing can succeed. */
export type Actor = 'provider' | 'receiver' | 'office' | 'operator' | 'requester' | 'nobody'

export type Scope = 'hub' | 'database' | 'one'

export interface ErrorKind extends LocalizedText {
  /** HTTP status when the error is an answer. */
  status: number
  who: Actor
  /** True where the same request can succeed later without anybody changing it. */
  retry: boolean
  /** What of an agent it stops: all that goes to the hub, all streams of one database, or the one stream, route or request alone. */
  scope: Scope
}

export const kinds = {
  // Transport and identity
  'QZ-HUB-UNREACHABLE': ofHub(503, 'operator', true, '无法连接中心 {url}:{reason}', 'The hub at {url} cannot be reached: {reason}'),
  'QZ-HUB-GATEWAY': ofHub(
    502,
    'operator',
    true,
    '在 {url} 应答的不是中心,而是途中的网关或代理:HTTP {status},服务器 {server},{reason}',
    'What answers at {url} is not the hub but a gateway or proxy on the way: HTTP {status}, server {server}, {reason}',
  ),
  'QZ-HUB-BODY-SIZE': kind(
    413,
    'operator',
    true,
    '到 {url} 途中的网关或代理(服务器 {server})不让 {bytes} 字节的请求通过;批次会自动改小,仍请将其上限调到 16 MiB',
    'A gateway or proxy on the way to {url} (server {server}) lets no request of {bytes} bytes through: batches are made smaller by themselves; have its limit raised to 16 MiB all the same',
  ),
  'QZ-HUB-CERTIFICATE': ofHub(
    495,
    'operator',
    false,
    '中心证书与登记时不一致:{reason}',
    'The hub certificate is not the one pinned at enrolment: {reason}',
  ),
  'QZ-CLOCK-AGENT': ofHub(
    503,
    'operator',
    true,
    '本机时钟为 {here},中心为 {hub}:请校正本机时钟',
    "The clock of this machine says {here}, the hub's {hub}: put it right",
  ),
  'QZ-VERSION': ofHub(
    400,
    'operator',
    false,
    '协议版本 {version} 不受支持(支持 {supported})',
    'Protocol version {version} is not served (served: {supported})',
  ),
  'QZ-REQUEST-SIGNATURE': ofHub(401, 'operator', false, '请求签名无效:{reason}', 'The request signature is not valid: {reason}'),
  'QZ-REQUEST-CLOCK': ofHub(
    401,
    'nobody',
    true,
    '请求时间与中心相差 {seconds} 秒',
    'The request was signed {seconds} s away from the hub time',
  ),
  'QZ-REQUEST-INVALID': ofHub(400, 'requester', false, '请求内容无效:{reason}', 'The request is not valid: {reason}'),
  'QZ-NOT-FOUND': kind(404, 'requester', false, '没有找到 {what}', '{what} does not exist'),
  'QZ-CONFLICT': kind(409, 'requester', false, '{what} 已存在且内容不同', '{what} exists already and differs'),
  'QZ-ADMIN-KEY': kind(401, 'operator', false, '管理密钥无效', 'The admin key is not valid'),
  'QZ-TOKEN': kind(403, 'office', false, '登记令牌无效:{reason}', 'The enrolment token is not valid: {reason}'),
  'QZ-AGENT-UNKNOWN': ofHub(401, 'office', false, '中心不认识此前置机代理 {agent}', 'The hub does not know agent {agent}'),
  'QZ-AGENT-REVOKED': ofHub(403, 'office', false, '前置机代理 {agent} 已被撤销({reason})', 'Agent {agent} is revoked ({reason})'),
  'QZ-AGENT-CLONED': ofDatabase(
    409,
    'operator',
    true,
    '另一个代理正在使用同一数据库 {database}',
    'Another agent holds database {database}',
  ),
  'QZ-HUB-BUSY': ofHub(503, 'nobody', true, '中心暂时不可用:{reason}', 'The hub cannot serve this now: {reason}'),
  // Policy
  'QZ-POLICY-SIGNATURE': ofHub(502, 'office', false, '策略签名无效', 'The policy is not signed by the pinned hub key'),
  'QZ-POLICY-EXPIRED': ofHub(403, 'office', true, '策略已于 {expires} 过期', 'The policy expired at {expires}'),
  'QZ-POLICY-OLD': ofHub(
    409,
    'office',
    false,
    '策略序号 {serial} 早于已有的 {known}',
    'Policy serial {serial} is older than {known}, which is known',
  ),
  'QZ-SUPPLY-NOT-ALLOWED': kind(
    403,
    'provider',
    true,
    '不能提供资源 {resource}:{reason}',
    'This agent may not supply resource {resource}: {reason}',
  ),
  'QZ-ROUTE-ENDED': kind(403, 'office', false, '交换路由 {route} 目前不交付:{reason}', 'Route {route} gets nothing now: {reason}'),
  'QZ-PROVIDER-KEY': kind(
    403,
    'receiver',
    false,
    '资源 {resource} 提供方密钥已改变,需本地确认',
    'The provider key of {resource} changed: the local operator must accept it',
  ),
  // Batches
  'QZ-BATCH-FORMAT': kind(400, 'provider', false, '批次格式错误:{reason}', 'The batch cannot be read: {reason}'),
  'QZ-BATCH-SIGNATURE': kind(
    403,
    'provider',
    false,
    '批次清单签名无效:{reason}',
    'The batch manifest is not signed by its provider: {reason}',
  ),
  'QZ-BATCH-BLOCK': kind(400, 'provider', false, '数据块 {item} 与清单不符:{reason}', 'Block {item} does not match the manifest: {reason}'),
  'QZ-BATCH-LIMIT': kind(413, 'provider', false, '批次超出限制:{reason}', 'The batch is over a limit: {reason}'),
  'QZ-BATCH-SCHEMA': kind(
    409,
    'provider',
    true,
    '批次的结构版本 {version} 不是中心现行版本 {expected}',
    'The batch has schema version {version}, the hub expects {expected}',
  ),
  'QZ-BATCH-ITEM': kind(403, 'office', false, '批次缺少或多出信息项 {item}', 'Item {item} is missing from the batch or not allowed in it'),
  'QZ-BATCH-HEAD': kind(
    409,
    'nobody',
    true,
    '批次 {position} 不接在中心现有位置 {head} 之后',
    'Batch {position} does not follow the head {head}',
  ),
  'QZ-LOG-BACK': kind(
    409,
    'nobody',
    true,
    '资源 {resource} 的批次日志止于 {head},此前已到 {known}(可能恢复了旧备份):提供方将自动开始新代次',
    'The log of {resource} ends at {head}, and was at {known} before (perhaps an older copy was put back): its provider begins a new epoch by itself',
  ),
  'QZ-SNAPSHOT-LIMIT': kind(
    429,
    'receiver',
    true,
    '交换路由 {route} 一小时内已要求 {count} 次新快照,{until} 之后再取:请检查接收方为何不能继续',
    'Route {route} has asked for {count} new snapshots within an hour, the next is taken after {until}: look why the receiver cannot go on',
  ),
  'QZ-CHAIN-BROKEN': ofDatabase(
    409,
    'provider',
    true,
    '批次 {position} 与已接收的前一批次不衔接',
    'Batch {position} does not follow the batch received before it',
  ),
  // Rows (quarantine)
  'QZ-ROW-TOO-LARGE': kind(422, 'provider', false, '该行过大,无法装入一个批次', 'The row is too large for a batch'),
  'QZ-ROW-VALUE': kind(422, 'provider', false, '信息项 {item} 的值无法传送:{reason}', 'The value of item {item} cannot travel: {reason}'),
  'QZ-ROW-FORM': kind(422, 'provider', false, '该行格式有误:{reason}', 'The row is not in order: {reason}'),
  'QZ-ROW-KEY-TWICE': kind(
    422,
    'provider',
    false,
    '多行的键相同,无法区分:请使键唯一,或改用能唯一标识一行的键',
    'Several rows have this key and cannot be told apart: make the key unique, or register one that is',
  ),
  'QZ-ROW-UNKNOWN': kind(
    409,
    'provider',
    false,
    '本机不知道该行的现状(数据目录曾恢复到较早的备份):请重新投放含该行的文件',
    'What this row is now is not known here (the data folder was put back to an older copy): put in a file that holds it again',
  ),
  'QZ-FOLDER-WAITS': kind(
    409,
    'provider',
    true,
    '目录 {folder} 中尚无资源 {resource} 的文件:投放第一个完整文件后开始',
    'No file of {resource} was ever in folder {folder}: it begins with the first whole one',
  ),
  'QZ-ROW-REFUSED': kind(422, 'receiver', false, '目标数据库拒绝该行:{reason}', 'The target database refused the row: {reason}'),
  'QZ-ROW-CODE': kind(
    422,
    'receiver',
    false,
    '该行有值没有对应的本地代码,请补充落地配置 columns 中的 codes',
    'A value of the row has no local code: complete codes in the columns of the sink',
  ),
  // Source and sink databases
  'QZ-DB-UNREACHABLE': ofDatabase(
    503,
    'operator',
    true,
    '数据库 {database} 无法使用:{reason}',
    'Database {database} cannot be used: {reason}',
  ),
  'QZ-DB-LOGIN': ofDatabase(
    403,
    'operator',
    false,
    '数据库 {database} 拒绝账号 {account} 登录(账号、口令不对,或不许从本机登录):{reason}',
    'Database {database} refuses the login of {account} (account or password are wrong, or it may not log in from this machine): {reason}',
  ),
  'QZ-DB-RIGHTS': kind(
    403,
    'operator',
    false,
    '数据库 {database} 缺少权限:{reason}',
    'A right is missing in database {database}: {reason}',
  ),
  'QZ-DB-READ-ONLY': ofDatabase(
    409,
    'operator',
    false,
    '数据库 {database} 只读(只读副本或只读设置),请连接主库:{reason}',
    'Database {database} is read-only (a replica, or set so): connect to the primary: {reason}',
  ),
  'QZ-DB-POOLED': ofDatabase(
    409,
    'operator',
    false,
    '数据库 {database} 前有按事务分配会话的连接池(如 pgbouncer 的 pool_mode=transaction):会话设置、锁和预处理语句都不能保留。请直接连接数据库,或让连接池对本账号使用 pool_mode=session',
    'A pooler that hands out sessions by transaction (such as pgbouncer with pool_mode=transaction) stands before database {database}: neither settings nor locks nor prepared statements last. Connect to the database itself, or have the pooler use pool_mode=session for this account',
  ),
  'QZ-DB-VERSION': kind(400, 'operator', false, '数据库版本不受支持:{reason}', 'The database version is not supported: {reason}'),
  'QZ-SOURCE-TABLE': kind(409, 'operator', false, '来源表 {table} 不可用:{reason}', 'Source table {table} cannot be used: {reason}'),
  'QZ-SOURCE-TYPE': kind(
    409,
    'operator',
    false,
    '来源表 {table} 的列 {column}({type})不能作为 {item}',
    'Column {column} ({type}) of {table} cannot supply {item}',
  ),
  'QZ-SOURCE-NOT-SET-UP': kind(
    409,
    'operator',
    false,
    '来源表 {table} 尚未执行 setup 或须重新执行({reason}):请执行 qianzhi-agent setup --print,把脚本交给 DBA(账号有权限的,直接执行 setup)',
    'Source table {table} is not set up yet, or must be again ({reason}): run qianzhi-agent setup --print and give the script to the DBA (or setup with an account that may)',
  ),
  'QZ-SOURCE-LOCKED': kind(
    503,
    'operator',
    true,
    '来源表 {table} 被其他会话锁住:{reason};锁释放后自动继续',
    'Source table {table} is locked by somebody else: {reason}; it goes on by itself once the lock is gone',
  ),
  'QZ-GUARD-DELETES': kind(
    409,
    'provider',
    true,
    '资源 {resource} 的来源表由 {before} 行减至 {rows} 行,删除暂缓发送:行重新装载后自动继续;确属删除的,请执行 qianzhi-agent confirm {resource}',
    'The source table of {resource} went from {before:row} to {rows}, so deletes wait: they go on once the rows are loaded again; if they are meant, run qianzhi-agent confirm {resource}',
  ),
  'QZ-GUARD-SNAPSHOT': kind(
    409,
    'provider',
    true,
    '资源 {resource} 此前约有 {before} 行,现有 {rows} 行,快照暂不结束,接收方不删行:行重新装载后自动继续;确属删除的,请执行 qianzhi-agent confirm {resource}',
    'Of {resource} there were about {before:row} before, now {rows:row}, so the snapshot does not end and receivers remove nothing: it goes on once the rows are loaded again; if they are meant to be gone, run qianzhi-agent confirm {resource}',
  ),
  'QZ-GUARD-UNKNOWN': kind(
    409,
    'provider',
    true,
    '资源 {resource} 现有 {rows} 行,接收方此前有多少行已无从得知,快照暂不结束,接收方不删行:核对行数无误后,请执行 qianzhi-agent confirm {resource}',
    '{resource} has {rows:row} now; how many the receivers have is not known here any more, so the snapshot does not end and they remove nothing: if these are all, run qianzhi-agent confirm {resource}',
  ),
  'QZ-SINK-TABLE': kind(409, 'operator', false, '落地表 {table} 不可用:{reason}', 'Delivered table {table} cannot be used: {reason}'),
  'QZ-SINK-MISSING': kind(
    409,
    'operator',
    false,
    '已获授权的路由 {route}(资源 {resource})没有配置落地,不会收到任何数据。请在本机代理的配置文件中加入 {lines},或写 sinks: auto 由代理自动建表',
    'Route {route} of resource {resource} is granted, and nothing of it arrives: no sink is configured for it. Add {lines} to the configuration file of this agent, or write sinks: auto and the agent makes the tables',
  ),
  'QZ-SINK-BAD-SHARE': kind(
    409,
    'receiver',
    true,
    '坏行比例过高({bad}/{rows}),路由已停止',
    'Too many bad rows ({bad} of {rows}): the route is held',
  ),
  // Configuration and data folder
  'QZ-CONFIG': kind(400, 'operator', false, '配置 {key} 有误:{reason}', 'Configuration {key}: {reason}'),
  'QZ-NOT-ENROLLED': kind(
    409,
    'operator',
    false,
    '本机尚未登记,请先执行 qianzhi-agent enroll',
    'This agent is not enrolled: run qianzhi-agent enroll first',
  ),
  'QZ-FOLDER-UNREACHABLE': kind(503, 'operator', true, '目录 {folder} 无法使用:{reason}', 'Folder {folder} cannot be used: {reason}'),
  'QZ-FOLDER-SHARED': kind(
    409,
    'operator',
    false,
    '目录 {folder} 属于另一代理 {other}:一个目录只能由一个代理使用;确已停用的,请删除 {file}',
    'Folder {folder} belongs to another agent, {other}: one folder has one agent; if that one is gone, remove {file}',
  ),
  'QZ-FILE': kind(422, 'provider', false, '文件 {file} 有误({where}):{reason}', 'File {file} is not valid ({where}): {reason}'),
  'QZ-FILE-SIGNATURE': kind(422, 'receiver', false, '文件或其清单不可信:{reason}', 'The file or its manifest cannot be trusted: {reason}'),
  'QZ-FILE-CHANGED': kind(
    409,
    'provider',
    true,
    '文件 {file} 在读取时发生变化:写完后自动重读',
    'File {file} changed while it was read: it is read again when it is complete',
  ),
  // One-way gaps
  'QZ-GAP-MISSING': kind(
    503,
    'operator',
    true,
    '路由 {route} 的批次 {batches} 未到:请在网闸外侧代理执行 qianzhi-agent export {route} {batches}(有返回通道时自动申请)',
    'Batches {batches} of route {route} have not arrived: run qianzhi-agent export {route} {batches} at the outer agent (where there is a way back it is asked by itself)',
  ),
  'QZ-GAP-SNAPSHOT': kind(
    503,
    'operator',
    true,
    '路由 {route} 需要新的快照才能继续:请在网闸外侧代理执行 qianzhi-agent resync {route}(有返回通道时自动申请)',
    'Route {route} can go on only from a snapshot: run qianzhi-agent resync {route} at the outer agent (where there is a way back it is asked by itself)',
  ),
  'QZ-GAP-LOST': kind(
    503,
    'operator',
    true,
    '资源 {resource} 的批次 {batches} 未从网闸内侧到达:请在内侧代理执行 qianzhi-agent export {resource} {batches}(有返回通道时自动申请)',
    'Batches {batches} of {resource} have not arrived from inside the gap: run qianzhi-agent export {resource} {batches} at the inner agent (where there is a way in it is asked by itself)',
  ),
  'QZ-GAP-RENEW': kind(
    409,
    'operator',
    true,
    '资源 {resource} 的批次接不上中心现有的,或中心需要新的快照:请在网闸内侧代理执行 qianzhi-agent resync {resource}(有返回通道时自动申请)',
    'The batches of {resource} do not follow what the hub has, or it wants a snapshot: run qianzhi-agent resync {resource} at the inner agent (where there is a way in it is asked by itself)',
  ),
  'QZ-GAP-STATEMENT': kind(
    409,
    'operator',
    true,
    '外侧代理的 gap.json 不可用:{reason};请检查网闸,或再次导入',
    'gap.json of the outer agent cannot be used: {reason}; look at the gap, or carry it in again',
  ),
  'QZ-GAP-KEY': kind(
    403,
    'operator',
    false,
    '目录 {folder} 中的文件不是已确认的内侧代理所签:核对密钥指纹后执行 qianzhi-agent trust-gap {name}',
    'Files in {folder} are not signed by an accepted inner agent: compare the fingerprint of its key and run qianzhi-agent trust-gap {name}',
  ),
  'QZ-GAP-ONE-WAY': kind(
    409,
    'operator',
    false,
    '网闸内侧的代理不与中心连接,不能执行:{what}',
    'An agent behind a one-way gap has no connection to the hub, so this cannot be done: {what}',
  ),
  'QZ-DATA-LOCKED': kind(409, 'operator', true, '数据目录 {folder} 正被另一进程使用', 'Data folder {folder} is in use by another process'),
  'QZ-CLOCK-JUMPED': kind(
    503,
    'operator',
    true,
    '中心服务器的时钟为 {wall},按推算应为 {reckoned}:到期、清除、清理等按推算时间处理。请校正服务器时钟;时钟无误的,由市电子政务办确认(POST /api/v1/clock/confirm,或 qianzhi-hub clock confirm)',
    'The clock of the hub says {wall}, and it should be about {reckoned}: what ends by time goes by the latter. Put the clock right; where it is right, the office confirms it (POST /api/v1/clock/confirm, or qianzhi-hub clock confirm)',
  ),
  'QZ-FILE-DAMAGED': kind(
    500,
    'operator',
    false,
    '文件 {file} 缺失或已损坏({reason}):{remedy}',
    'File {file} is missing or damaged ({reason}): {remedy}',
  ),
  'QZ-SCHEMA': kind(400, 'provider', false, '资源结构有误:{reason}', 'The resource schema is not valid: {reason}'),
  // People and rights
  'QZ-SIGN-IN': kind(401, 'requester', true, '请先登录:{reason}', 'Sign in first: {reason}'),
  'QZ-FORBIDDEN': kind(403, 'office', false, '无权执行“{operation}”', '"{operation}" is not within your rights'),
  'QZ-STATE': kind(409, 'requester', false, '{what} 处于“{state}”状态,不能“{event}”', '{what} is {state}: "{event}" is not possible'),
  'QZ-REVISION': kind(
    412,
    'requester',
    false,
    '{what} 在您查看之后已有变动({by} 于 {at}:{event}),请重新查看后再办',
    '{what} has changed since you looked at it ({by}, {at}: {event}): look at it again',
  ),
  'QZ-REVISION-MISSING': kind(
    428,
    'requester',
    false,
    '决定须写明所见版本:请以 If-Match 头带上查看时得到的 ETag(revision)',
    'A decision names what was seen: send the ETag (revision) that you got with it as If-Match',
  ),
  'QZ-SAME-PERSON': kind(409, 'provider', false, '登记与审核不能是同一人', 'The person who checks may not be the one who submitted'),
  // Reading resource tables: query, API, open data
  'QZ-DATA-ITEM': kind(400, 'requester', false, '没有可用的信息项 {item}', 'There is no item {item} that is yours to use'),
  'QZ-DATA-FILTER': kind(400, 'requester', false, '参数 {parameter} 无效:{reason}', 'Parameter {parameter} is not valid: {reason}'),
  'QZ-DATA-CURSOR': kind(
    400,
    'requester',
    false,
    'after 不是本次查询给出的值:请从第一页重新开始',
    'after is no value that this query gave: begin again with the first page',
  ),
  'QZ-DATA-PREPARING': kind(
    503,
    'nobody',
    true,
    '资源 {resource} 的数据正在准备,请稍后再试',
    'The rows of resource {resource} are being made ready: try again soon',
  ),
  'QZ-DATA-RELAYED': kind(
    409,
    'provider',
    false,
    '资源 {resource} 的提供单位没有将数据存储到中心,只能以数据交换方式获取',
    'The provider of resource {resource} does not store it at the hub: it is shared by exchange only',
  ),
  'QZ-DATA-ENDED': kind(
    403,
    'requester',
    false,
    '对资源 {resource} 的授权已失效:{reason}',
    'The grant of resource {resource} has ended: {reason}',
  ),
  'QZ-DATA-TRIMMED': kind(
    410,
    'requester',
    false,
    '{after} 之后的变更已不能接续({reason}):请清空副本,不带 after 重新开始',
    'Changes after {after} cannot be continued ({reason}): empty the copy and begin again without after',
  ),
  'QZ-DATA-COSTLY': kind(
    422,
    'requester',
    false,
    '查询超过 {seconds} 秒:请增加条件,或不要求精确计数',
    'The query takes more than {seconds} s: add filters, or do without the exact count',
  ),
  'QZ-RULE': kind(422, 'requester', false, '不符合规定:{reason}', 'Against the rules: {reason}'),
  'QZ-EXCEL': kind(422, 'requester', false, 'Excel 文件有误({where}):{reason}', 'The Excel file is not valid ({where}): {reason}'),
  // What the hub asks of an agent, and checks of identifiers
  'QZ-ROW-CHECK': kind(
    422,
    'provider',
    false,
    '信息项 {item} 的值未通过校验:{reason}',
    'The value of item {item} fails its check: {reason}',
  ),
  'QZ-ASK-AWAY': kind(
    503,
    'operator',
    true,
    '前置机代理 {agent} 未连接(最近联系:{seen}),请检查前置机',
    'Agent {agent} is not connected (last heard of: {seen}): look at its machine',
  ),
  'QZ-MORNING-MISSING': kind(
    504,
    'operator',
    false,
    '前置机代理 {agent} 没有 {day} 的早报,请检查前置机和代理',
    'The morning line of agent {agent} for {day} is missing: look at its machine and whether the agent runs',
  ),
  'QZ-ASK-UNANSWERED': kind(
    504,
    'operator',
    true,
    '前置机代理 {agent} 已连接,但 {seconds} 秒内未答复',
    'Agent {agent} is connected but did not answer within {seconds} s',
  ),
  'QZ-ASK-CLOSED': kind(
    409,
    'requester',
    false,
    '中心的问询 {ask} 已答复、已过期或不是问此代理',
    'Ask {ask} is answered, expired, or another agent is asked',
  ),
  'QZ-ASK-OFF': kind(
    403,
    'operator',
    false,
    '前置机代理的运维人员已关闭表结构查看(describe: false)',
    'The operator of the agent has switched describing off (describe: false)',
  ),
  'QZ-SECOND-FACTOR': kind(401, 'requester', true, '请输入动态验证码', 'Enter the code of the second factor'),
  'QZ-SIGN-IN-RATE': kind(429, 'requester', true, '尝试过于频繁,请 {seconds} 秒后再试', 'Too many attempts: try again in {seconds} s'),
  'QZ-PASSWORD-DUE': kind(403, 'requester', false, '口令已到期,请先更换口令', 'The password has expired: choose a new one first'),
  'QZ-FACTOR-DUE': kind(403, 'requester', false, '该角色须先设置动态验证码', 'This role needs the second factor: set it up first'),
  'QZ-LINK': kind(403, 'office', false, '激活链接无效:{reason}', 'The activation link cannot be used: {reason}'),
  // Reconciliation
  'QZ-RECONCILE-NOT-NOW': kind(503, 'nobody', true, '现在不能对账:{reason}', 'It cannot be reconciled now: {reason}'),
  'QZ-RECONCILE-LOST': kind(
    409,
    'nobody',
    true,
    '前置机代理不认识对账 {run} 的这一步:它重启过,将重新开始',
    'The agent does not know this step of reconciliation {run}: it was restarted, and the run begins again',
  ),
  'QZ-RECONCILE-NUMBERS': kind(
    409,
    'office',
    false,
    '对账 {run} 的结论与本机所测不符,未签名:{what}',
    'The statement of reconciliation {run} is not what this agent measured, and is not signed: {what}',
  ),
  'QZ-RECONCILE-TIME': kind(
    504,
    'operator',
    true,
    '对账 {run} 未能在 {hours} 小时内完成',
    'Reconciliation {run} did not end within {hours} hours',
  ),
  'QZ-RECONCILE-INTERRUPTED': kind(
    503,
    'nobody',
    true,
    '对账 {run} 因中心重启而中断,将重新开始',
    'Reconciliation {run} was interrupted by a restart of the hub, and begins again',
  ),
  'QZ-RECONCILE-DIFFERENT': kind(
    409,
    'operator',
    false,
    '交换路由 {route} 对账不一致:{remaining} 个主键有差异',
    'Route {route} was reconciled and is different in {remaining:key}',
  ),
  'QZ-RECONCILE-MANY': kind(
    422,
    'operator',
    false,
    '交换路由 {route} 有 {limit} 个以上主键不一致:请重新快照(resync)',
    'More than {limit} keys of route {route} differ: take a new snapshot (resync)',
  ),
  // Verification of the audit's chain
  'QZ-AUDIT-ALTERED': kind(
    422,
    'office',
    false,
    '审计导出第 {line} 行被改动:应为完好的第 {seq} 条',
    'Line {line} of the audit export was altered: entry {seq} should stand there, intact',
  ),
  'QZ-AUDIT-MISSING': kind(
    422,
    'office',
    false,
    '审计导出第 {line} 行之前有缺失:应为第 {seq} 条,却是第 {next} 条',
    'Entries are missing before line {line} of the audit export: {seq} should stand there, not {next}',
  ),
  'QZ-AUDIT-REORDERED': kind(
    422,
    'office',
    false,
    '审计导出第 {line} 行次序被改动:第 {seq} 条不在其位置',
    'Line {line} of the audit export is out of order: entry {seq} is not in its place',
  ),
  'QZ-AUDIT-INSERTED': kind(
    422,
    'office',
    false,
    '审计导出第 {line} 行是插入的:应为第 {seq} 条',
    'Line {line} of the audit export was inserted: entry {seq} should stand there',
  ),
  'QZ-AUDIT-CUT': kind(
    422,
    'office',
    false,
    '审计导出在第 {line} 行之后被截断:没有第 {seq} 条,或没有签名的末行',
    'The audit export is cut off after line {line}: entry {seq}, or the signed last line, is not there',
  ),
  'QZ-AUDIT-CHECKPOINT': kind(
    422,
    'office',
    false,
    '审计记录与代理 {agent} 在 {time} 得到的检查点(第 {seq} 条)不符:此后被改写或截断(第 {line} 行)',
    'The audit contradicts the checkpoint at entry {seq} that agent {agent} was told at {time}: it was rewritten or cut (line {line})',
  ),
  'QZ-AUDIT-SIGNATURE': kind(
    422,
    'office',
    false,
    '审计导出末行(第 {line} 行)的签名与内容或中心密钥不符:{key}',
    'The last line ({line}) of the audit export is not signed by the hub for what stands before it: {key}',
  ),
  'QZ-INTERNAL': ofDatabase(500, 'nobody', true, '内部错误:{reason}', 'Internal error: {reason}'),
} satisfies Record<string, ErrorKind>

function kind(status: number, who: Actor, retry: boolean, zh: string, en: string, scope: Scope = 'one'): ErrorKind {
  return { status, who, retry, scope, zh, en }
}

/** The hub is away, or will not deal with this agent. */
function ofHub(status: number, who: Actor, retry: boolean, zh: string, en: string): ErrorKind {
  return kind(status, who, retry, zh, en, 'hub')
}

/** The connection to the database is given up, and made anew. */
function ofDatabase(status: number, who: Actor, retry: boolean, zh: string, en: string): ErrorKind {
  return kind(status, who, retry, zh, en, 'database')
}
