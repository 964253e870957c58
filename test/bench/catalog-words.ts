/** Resources as a city's catalog has them, made from word lists; and what people would type to find them. */
import type { IndexedResource } from '../../hub/registry/catalog/search.ts'
import type { Random } from '../faults/random.ts'

const words = (text: string): string[] => text.trim().split(/\s+/)
/** `中文:english` pairs. */
const named = (text: string) => words(text).map((pair) => pair.split(':') as [string, string])

export const agencies = words(`
  发展和改革局 教育局 科学技术局 工业和信息化局 公安局 民政局 司法局 财政局 人力资源和社会保障局 自然资源局 生态环境局 住房和城乡建设局 交通运输局 水务局
  农业农村局 商务局 文化广电旅游体育局 卫生健康局 退役军人事务局 应急管理局 审计局 国有资产监督管理委员会 市场监督管理局 统计局 医疗保障局 金融工作局
  城市管理和综合执法局 政务服务数据管理局 轨道交通局 林业局 档案馆 税务局 海关 气象局 烟草专卖局 邮政管理局 东城街道办事处 南城街道办事处 万江街道办事处
  莞城街道办事处 石碣镇人民政府 石龙镇人民政府 茶山镇人民政府 石排镇人民政府 企石镇人民政府 横沥镇人民政府 桥头镇人民政府 谢岗镇人民政府 东坑镇人民政府
  常平镇人民政府 寮步镇人民政府 大朗镇人民政府 黄江镇人民政府 清溪镇人民政府 塘厦镇人民政府 凤岗镇人民政府 长安镇人民政府 虎门镇人民政府 厚街镇人民政府`)

const topics = words(`
  企业 个体工商户 社会组织 事业单位 婚姻 户籍 居住证 教师资格 医师执业 护士执业 食品经营 药品经营 危险化学品 特种设备 建筑工程 施工许可 房屋产权 不动产 土地出让
  建设用地 道路运输 机动车 驾驶员 出租汽车 船舶 港口经营 取水 排污 环境影响评价 污水处理 河道采砂 水库 农药经营 种子生产 动物防疫 森林资源 学校 幼儿园 民办教育
  文物保护 旅行社 体育场馆 图书馆 医疗机构 公共卫生 传染病 出生医学证明 死亡证明 社会保险 医疗保险 失业 最低生活保障 残疾人 老年人 退役军人 律师 公证 法律援助
  安全生产 消防 气象灾害 地震 应急避难场所 政府采购 招标投标 财政补贴 税收 进出口 外商投资 高新技术企业 科技项目 知识产权 信用 行政处罚 双公示`)

const forms = words(
  `登记信息 许可信息 备案信息 基本信息 名录 年度统计 处罚信息 检查记录 审批结果 变更记录 注销信息 黑名单 红名单 评价结果 监测数据 缴费记录 证照信息 办理进度`,
)

const owners = named(`
  企业:firm 申请人:applicant 法定代表人:legal_person 单位:unit 负责人:head 联系人:contact 车辆:vehicle 房屋:house 土地:land 项目:project 证书:certificate 许可证:licence
  机构:body 学校:school 医院:hospital 设备:device 工程:works 产权人:owner 使用人:user 监护人:guardian 经办人:clerk 委托人:principal 发证机关:issuer 实施机关:office`)

const facts = named(`
  名称:name 姓名:full_name 证件类型:id_type 证件号码:id_number 统一社会信用代码:credit_code 地址:address 联系电话:phone 性别:gender 出生日期:born 登记日期:registered
  注册资本:capital 经营范围:scope 有效期起:valid_from 有效期止:valid_to 状态:state 编号:number 类别:category 面积:area 用途:purpose 金额:amount 数量:quantity 等级:grade
  批准文号:approval 发证日期:issued 备注:remark 所属街道:street 邮政编码:postcode 经度:longitude 纬度:latitude 更新时间:updated`)

const phrases = words(`
  反映全市有关情况 用于部门之间核对 由业务系统每日提供 每季度首月更新 供审批时查验 含历史数据 不含涉密内容 依法公开的部分向社会开放 自2015年起 包括各镇街 以统一社会信用代码为主键
  供信用平台归集 按国家标准编制 逐项登记 须注明出处 来源于窗口受理 经审核后发布 与省级平台同步 支持双公示 可用于统计分析`)

export const total = 20_000

export function codeOf(n: number): string {
  return `agency${n % agencies.length}-${String(n).padStart(5, '0')}`
}

/** Resource number `n`: 30 items, an abstract of five phrases. */
export function catalogResource(random: Random, n: number): IndexedResource {
  const [topic, form] = [random.pick(topics), random.pick(forms)]
  const agency = n % agencies.length
  const items = Array.from({ length: 30 }, (_, i) => {
    const [[owner, ownerName], [fact, factName]] = [random.pick(owners), random.pick(facts)]
    return { id: `i${i}`, name: `${ownerName}_${factName}`, label: `${owner}${fact}` }
  })
  const classification = `${random.between(1, 4)}${String(random.between(1, 40)).padStart(2, '0')}${String(random.between(1, 20)).padStart(3, '0')}`
  return {
    resource: codeOf(n),
    catalogCode: `${classification}/${String(n).padStart(6, '0')}`,
    title: `${random.chance(0.3) ? random.pick(['东莞市', '全市', '镇街', '市级']) : ''}${topic}${form}${random.chance(0.2) ? `(${random.between(2010, 2026)}年)` : ''}`,
    abstract: `${topic}${Array.from({ length: 5 }, () => random.pick(phrases)).join(',')}。`,
    keywords: [random.pick(topics), random.pick(forms)],
    agency: `agency${agency}`,
    agencyName: agencies[agency]!,
    classification,
    classificationName: random.pick(topics),
    items,
    openness: random.pick(['internal', 'public', 'closed', 'partial']),
    standard: random.chance(0.02) ? 'double-publicity' : null,
  }
}

/** What people type, by kind: rare and common, long and short, found and not. */
export const typed: Record<string, (random: Random) => { text?: string; agency?: string; classification?: string; openness?: string }> = {
  topic: (random) => ({ text: random.pick(topics) }),
  'topic and form': (random) => ({ text: `${random.pick(forms)} ${random.pick(topics)}` }),
  'agency and topic': (random) => ({ text: `${random.pick(agencies)} ${random.pick(topics)}` }),
  item: (random) => ({ text: random.pick(owners)[0] + random.pick(facts)[0] }),
  'two items': (random) => ({ text: `${random.pick(facts)[0]} ${random.pick(owners)[0]}${random.pick(facts)[0]}` }),
  'words of nearly all': (random) => ({ text: random.pick(['信息', '名称', '企业', '信息 名称', '全市', '代码', '机']) }),
  'one character': (random) => ({ text: random.pick(Array.from('水企学医房车税河山')) }),
  'words of the abstract': (random) => ({ text: random.pick(phrases).slice(0, random.between(2, 6)) }),
  'pairs without the phrase': (random) => ({ text: random.pick(topics) + random.pick(facts)[0] + random.pick(topics) }),
  code: (random) => ({ text: codeOf(random.between(0, total - 1)) }),
  'beginning of a code': (random) => ({ text: codeOf(random.between(0, total - 1)).slice(0, -2) }),
  'item name': (random) => ({ text: `${random.pick(owners)[1]}_${random.pick(facts)[1]}`.slice(0, random.between(3, 20)) }),
  'within an agency': (random) => ({ text: random.pick(facts)[0], agency: `agency${random.between(0, agencies.length - 1)}` }),
  'list of a class': (random) => ({ classification: `${random.between(1, 4)}${String(random.between(1, 40)).padStart(2, '0')}` }),
  'list of an openness': (random) => ({ openness: random.pick(['internal', 'public']) }),
  'list of all': () => ({}),
}
