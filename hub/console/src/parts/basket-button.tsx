import { Button } from 'antd'
import { mostInBasket, setBasket, useBasket } from '../basket.ts'
import { t, useWords } from '../words.tsx'

/** Puts a resource into the basket, and takes it out again. */
export function BasketButton({ code, small = false }: { code: string; small?: boolean }) {
  const { say } = useWords()
  const basket = useBasket()
  const within = basket.includes(code)
  return (
    <Button
      {...(small && { size: 'small' as const })}
      aria-pressed={within}
      disabled={!within && basket.length >= mostInBasket}
      onClick={() => setBasket(within ? basket.filter((one) => one !== code) : [...basket, code])}
    >
      {say(within ? t('移出申请篮', 'Take out of the basket') : t('加入申请篮', 'Into the basket'))}
    </Button>
  )
}
