import { markup } from '../../../protocol/markup.ts'
import type { Page } from './page.ts'

/** What somebody finds who opens the hub's address where the console was not built. */
export const home: Page = {
  title: { zh: '前置 · 政务数据共享交换平台', en: 'Qianzhi · sharing of government data' },
  body: (say) => markup`
<p>${say({
    zh: '这里是本市政务数据共享交换平台的中心：各机关单位在此登记、申请和共享政务信息资源，数据经各单位的前置机交换。',
    en: "This is the hub of the city's platform for sharing government data: agencies register, apply for and share resources here; data is exchanged between their front-end machines.",
  })}</p>
<ul>
<li><a href="/open">${say({ zh: '开放数据', en: 'Open data' })}</a>
<span class="muted">${say({ zh: '（无需登录）', en: '(without an account)' })}</span></li>
<li><a href="/activate">${say({ zh: '激活账户或重设口令', en: 'Activate an account, or set its password anew' })}</a>
<span class="muted">${say({ zh: '（凭管理员给您的一次性链接）', en: '(by the one-time link that an administrator gave you)' })}</span></li>
<li><a href="/docs">${say({ zh: '接口文档（供程序对接）', en: 'The API (for programs)' })}</a></li>
<li><a href="/health">${say({ zh: '运行状况', en: 'Is it running?' })}</a></li>
</ul>
<p class="muted">${say({
    zh: '本平台的网页操作台尚未构建，请告知系统运维人员（执行 npm run build）。没有账户的，请与本单位或市电子政务办的系统管理员联系。',
    en: 'The pages to work with were not built: tell whoever runs the system (npm run build). Without an account, ask the system administrator of your agency or of the city office.',
  })}</p>`,
}
