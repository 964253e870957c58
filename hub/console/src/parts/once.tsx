import { Alert, Typography } from 'antd'
import { t, useWords } from '../words.tsx'

/** A secret that an answer tells and nothing tells again, until it is closed: the link that holds it where there is one. */
export function Once({ answer, close }: { answer: Readonly<Record<string, unknown>> | undefined; close: () => void }) {
  const { say } = useWords()
  const secret = answer && [answer['link'], answer['token'], answer['secret']].find((one) => typeof one === 'string')
  if (typeof secret !== 'string') return null
  return (
    <Alert
      type="success"
      showIcon
      closable={{ onClose: close }}
      title={say(t('只在此显示一次，请立即抄存', 'It is shown this once: keep it now'))}
      description={
        <Typography.Text code copyable>
          {secret}
        </Typography.Text>
      }
    />
  )
}
