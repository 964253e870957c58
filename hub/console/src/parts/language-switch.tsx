import { Button } from 'antd'
import { useWords } from '../words.tsx'

export function LanguageSwitch() {
  const { language, setLanguage } = useWords()
  return (
    <Button type="link" size="small" lang={language === 'zh' ? 'en' : 'zh-CN'} onClick={() => setLanguage(language === 'zh' ? 'en' : 'zh')}>
      {language === 'zh' ? 'English' : '中文'}
    </Button>
  )
}
