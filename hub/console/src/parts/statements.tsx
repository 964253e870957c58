/** What both sides of a reconciliation 对账 signed, and the rows in which they differed. */
import { Table } from 'antd'
import { plain, valueText } from '../fields.ts'
import { t, useWords } from '../words.tsx'
import { Seal, sealOfRun } from './seal.tsx'

interface Side {
  rows: number
}

interface Key {
  key: string[]
  difference: string
  state: string
}

type Run = Readonly<Record<string, unknown>>

export default function Statements({ run }: { run: Run }) {
  const { say } = useWords()
  const statement = run['statement'] as { source: Side; target: Side; differing: number; repaired: number; remaining: number } | null
  if (!statement) return null
  const seal = sealOfRun(plain(run['state']))
  const sides = [
    { name: t('提供单位', 'provider'), who: run['providerName'] ?? run['provider'], side: statement.source, as: 'source' },
    { name: t('获取单位', 'receiver'), who: run['receiverName'] ?? run['receiver'], side: statement.target, as: 'target' },
  ]
  const keys = (run['keys'] ?? []) as Key[]
  return (
    <>
      <h2>
        {say(t('双方的签名', 'What both sides signed'))} {seal && <Seal {...seal} />} {seal && <small>{say(seal.text)}</small>}
      </h2>
      <Table
        size="small"
        rowKey="as"
        dataSource={sides}
        pagination={false}
        columns={[
          { title: say(t('单位', 'agency')), render: (_, { name, who }) => `${say(name)} ${plain(who)}` },
          { title: say(t('行数', 'rows')), render: (_, { side }) => <span className="number">{side.rows}</span> },
          { title: say(t('前置机', 'machine')), render: (_, { as }) => plain(run[`${as}Agent`]) || '—' },
          {
            title: say(t('签名', 'signature')),
            render: (_, { as }) => <Signature text={plain(run[`${as}Signature`])} from={plain(run[`${as}Key`])} />,
          },
        ]}
      />
      <p>
        {say(
          t(
            `不同 ${statement.differing} 行，已修复 ${statement.repaired} 行，仍不同 ${statement.remaining} 行`,
            `rows that differed: ${statement.differing}; mended: ${statement.repaired}; still different: ${statement.remaining}`,
          ),
        )}
      </p>
      {keys.length > 0 && (
        <Table<Key>
          size="small"
          rowKey={({ key }) => key.join('\u0000')}
          dataSource={keys}
          pagination={keys.length > 20 ? { pageSize: 20, size: 'small' } : false}
          columns={[
            { title: say(t('行（主键）', 'row (key)')), render: (_, { key }) => key.join(' · ') },
            { title: say(t('差异', 'difference')), render: (_, { difference }) => valueText(difference, 'difference', undefined, say) },
            { title: say(t('结果', 'outcome')), render: (_, { state }) => valueText(state, 'keyState', undefined, say) },
          ]}
        />
      )}
    </>
  )
}

/** Its first characters; the whole as its title, for whoever checks it elsewhere. */
function Signature({ text, from }: { text: string; from: string }) {
  const { say } = useWords()
  if (text === '') return <>{say(t('○ 未签名', '○ not signed'))}</>
  return (
    <span title={`${say(t('签名', 'signature'))} ${text}\n${say(t('公钥', 'public key'))} ${from}`}>
      <Seal whole text={t('已签名', 'signed')} /> <code>{text.slice(-12)}</code>
    </span>
  )
}
