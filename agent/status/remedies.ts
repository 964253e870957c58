import { errorKind, type Actor, type ErrorCode } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'

const actors: Record<Actor, LocalizedText> = {
  operator: { zh: '本机运维人员处理', en: 'the operator of this machine' },
  provider: { zh: '数据提供方处理', en: 'the agency that provides the data' },
  receiver: { zh: '数据接收方处理', en: 'the agency that receives the data' },
  office: { zh: '市电子政务办处理', en: "the city's office" },
  requester: { zh: '操作者本人处理', en: 'whoever asked for it' },
  nobody: { zh: '无需处理', en: 'nobody has to act' },
}

/** What to do first, where the text of a code does not say so itself. */
const steps: Partial<Record<ErrorCode, LocalizedText>> = {
  'QZ-HUB-UNREACHABLE': {
    zh: '检查本机网络、防火墙、代理设置，并确认中心在运行',
    en: "look at this machine's network, firewall and proxy, and whether the hub runs",
  },
  'QZ-HUB-GATEWAY': {
    zh: '请网络管理员放行到中心的连接：不经登录页面、不改写应答；网关报 502、503、504 时确认中心在运行',
    en: 'have the network let connections to the hub through, without a sign-in page and unaltered; where a gateway says 502, 503 or 504, see whether the hub runs',
  },
  'QZ-HUB-CERTIFICATE': {
    zh: '向市电子政务办核实中心证书；确已更换的，重新执行 qianzhi-agent enroll（后加令牌）',
    en: "ask the office whether the hub's certificate was changed; if it was, run qianzhi-agent enroll again with a token",
  },
  'QZ-AGENT-REVOKED': {
    zh: '向市电子政务办查询原因；仍需要的，由本单位信息化人员在控制台“前置机申请”中重新申请，批准后执行 qianzhi-agent enroll（后加新令牌）',
    en: 'ask the office why; where it is still needed, agency IT applies for a machine anew in the console (Machine applications), then runs qianzhi-agent enroll with its token',
  },
  'QZ-POLICY-EXPIRED': { zh: '恢复与中心的连接，策略会自动更新', en: 'restore the connection to the hub: the policy is renewed by itself' },
  'QZ-SUPPLY-NOT-ALLOWED': {
    zh: '由本单位编目人员登记、审核人员发布此资源；有多台前置机的，在控制台“目录登记”的“提供的代理”中选定本机',
    en: 'the registrar of this agency registers the resource and its reviewer publishes it; where there are several machines, the registration in the console names this one as its producing agent',
  },
  'QZ-PROVIDER-KEY': {
    zh: '向提供方核实密钥已更换，再执行 qianzhi-agent trust 资源',
    en: 'ask the provider whether its key was changed, then run qianzhi-agent trust RESOURCE',
  },
  'QZ-DB-UNREACHABLE': {
    zh: '确认数据库在运行，检查地址和连接数',
    en: 'see that the database runs, and look at its address and number of connections',
  },
  'QZ-DB-LOGIN': {
    zh: '改正配置或口令文件中的账号、口令（保存即可，代理会重新读取），或请 DBA 放行该账号',
    en: 'put account or password right in the configuration or the file that it refers to (it is read again by itself), or have the DBA let the account in',
  },
  'QZ-DB-RIGHTS': {
    zh: '执行 qianzhi-agent doctor，照所列办理：请 DBA 授予权限，尚未 setup 的执行 setup --print 得到的脚本',
    en: 'run qianzhi-agent doctor, and have the DBA grant what it lists, and run the script of setup --print where it says not set up',
  },
  'QZ-SOURCE-TABLE': {
    zh: '执行 qianzhi-agent doctor，核对表名和列',
    en: 'run qianzhi-agent doctor, and look at the names of table and columns',
  },
  'QZ-SINK-TABLE': {
    zh: '按原因恢复该表；确需重新填充的，执行 qianzhi-agent resync',
    en: 'put the table right as the reason says; to have it filled anew, run qianzhi-agent resync',
  },
  'QZ-SINK-MISSING': {
    zh: '把所列内容写入配置文件并保存',
    en: 'write these lines into the configuration file and save it',
  },
  'QZ-SINK-BAD-SHARE': {
    zh: '执行 qianzhi-agent quarantine 查看原因，修正落地表后执行 qianzhi-agent replay',
    en: 'run qianzhi-agent quarantine for the reasons, put the table right, then run qianzhi-agent replay',
  },
  'QZ-ROUTE-ENDED': {
    zh: '核对配置和申请：未申请或未批准的，由使用人员在控制台“资源目录”中申请',
    en: 'look at configuration and application: a user applies in the console (Catalog) for what was not applied for, or not approved',
  },
  'QZ-FOLDER-UNREACHABLE': {
    zh: '检查网络共享、路径、权限和磁盘空间',
    en: 'look at the network share, the path, its rights and the space on the disk',
  },
}

/** What is over for good: something new takes its place. */
const final: ReadonlySet<ErrorCode> = new Set(['QZ-AGENT-REVOKED', 'QZ-ROUTE-ENDED'])

/** Who must act, and what to do. Lines go on by themselves when it is done, but for what is over for good. */
export function remedyOf(code: ErrorCode): LocalizedText {
  const { who } = errorKind(code)
  const step = steps[code]
  if (who === 'nobody') return { zh: '无需处理，自动重试', en: 'nobody has to act: it is tried again by itself' }
  const { zh, en } = actors[who]
  if (step && final.has(code)) return { zh: `不会自动恢复：${step.zh}`, en: `it does not come back by itself: ${step.en}` }
  return {
    zh: `由${zh}：${step ? `${step.zh}；` : ''}处理后自动恢复`,
    en: `for ${en}: ${step ? `${step.en}; ` : ''}it goes on by itself then`,
  }
}
