import { Alert, Typography } from 'antd'
import { t, useWords } from '../words.tsx'

/** A secret that an answer tells and nothing tells again, until it is closed: the link that holds it where there is one. */
export function Once({ answer, close }: { answer: Readonly<Record<string, unknown>> | undefined; close: () => void }) {
  const { say } = useWords()
  const { link, token, secret: own } = answer ?? {}
  const secret = [link, token, own].find((one) => typeof one === 'string')
  if (typeof secret !== 'string') return null
  // Of a machine it is one part of what is typed there.
  const text = secret === token ? `qianzhi-agent enroll ${secret}` : secret
  return (
    <Alert
      type="success"
      showIcon
      closable={{ onClose: close }}
      title={say(t('只在此显示一次，请立即抄存', 'It is shown this once: keep it now'))}
      description={
        <>
          {secret === token && (
            <p>{say(t('在前置机上执行，本页随即变为已登记：', 'Run it at the machine; this page then says that it is enrolled:'))}</p>
          )}
          <Typography.Text code copyable>
            {text}
          </Typography.Text>
        </>
      }
    />
  )
}
