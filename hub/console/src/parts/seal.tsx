import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'

interface SealProps {
  whole: boolean
  /** What was signed and verified, or where it is not whole. */
  text: Text
}

/** The seal 印记: a small square for what was signed and verified; split in two where it does not hold. */
export function Seal({ whole, text }: SealProps) {
  const { say } = useWords()
  return (
    <svg className={whole ? 'seal' : 'seal broken'} viewBox="0 0 18 18" role="img" aria-label={say(text)}>
      <title>{say(text)}</title>
      {whole ? (
        <path d="M2 2h14v14H2zM6 5.5v7M12 5.5v7M6 9h6" />
      ) : (
        <>
          <path d="M8 1H2v13h3L7 10.5 5.5 7zM4.5 4.5v6" />
          <path d="M11 4h5v13H8.5L10.5 13 9 9.5zM13.5 7.5v6" />
        </>
      )}
    </svg>
  )
}

/** What of a history is sealed: signed receipts, what both sides signed of their rows, and what somebody signs for their agency. */
export function sealOf(kind: string, { event, to }: { event: string; to: string }): SealProps | undefined {
  if (kind === 'route' && event === 'first-receipt')
    return { whole: true, text: t('回执已由获取单位的前置机签名，并已核验', "receipt signed by the receiver's machine, and verified") }
  if (kind === 'reconciliation' && event === 'end') return sealOfRun(to)
  if (kind === 'declaration' && event === 'sign') return { whole: true, text: t('已审核签发', 'checked and signed') }
  return undefined
}

/** Of a reconciliation that came to a result. */
export function sealOfRun(state: string): SealProps | undefined {
  if (state === 'equal') return { whole: true, text: t('双方签名，数据一致', 'signed by both sides: the same rows') }
  if (state === 'different') return { whole: false, text: t('双方签名，数据不一致', 'signed by both sides: the rows differ') }
  return undefined
}
