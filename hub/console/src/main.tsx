import { nonce } from './nonce.ts'
import 'antd/dist/reset.css'
import './console.css'
import './style/signs.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { App, ConfigProvider } from 'antd'
import enUS from 'antd/locale/en_US'
import zhCN from 'antd/locale/zh_CN'
import { lazy, StrictMode, Suspense, useMemo } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserRouter, Route, Routes } from 'react-router'
import { DarkProvider, useDark } from './dark.tsx'
import { Frame } from './frame.tsx'
import { SessionGate } from './session.tsx'
import { themeOf } from './theme.ts'
import { t, useWords, WordsProvider } from './words.tsx'

const WallPage = lazy(() => import('./pages/wall.tsx'))

const client = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false } } })

function Themed() {
  const { language, say } = useWords()
  const { isDark } = useDark()
  const theme = useMemo(() => themeOf(isDark), [isDark])
  return (
    <ConfigProvider
      csp={{ nonce }}
      locale={language === 'zh' ? zhCN : enUS}
      theme={theme}
      button={{ autoInsertSpace: false }}
      renderEmpty={() => say(t('还没有', 'There are none yet'))}
    >
      <App>
        <Routes>
          {/* Nobody is signed in there. */}
          <Route
            path="/wall"
            element={
              <Suspense>
                <WallPage />
              </Suspense>
            }
          />
          <Route
            path="*"
            element={
              <SessionGate>
                <Frame />
              </SessionGate>
            }
          />
        </Routes>
      </App>
    </ConfigProvider>
  )
}

createRoot(document.querySelector('#root')!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <BrowserRouter>
        <WordsProvider>
          <DarkProvider>
            <Themed />
          </DarkProvider>
        </WordsProvider>
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
)
