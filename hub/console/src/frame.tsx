/** The frame around every page: header, places on the left, the page. */
import { useIsFetching, useQuery, useQueryClient } from '@tanstack/react-query'
import { Badge, Button, Dropdown, Input, type InputRef } from 'antd'
import { lazy, Suspense, useEffect, useRef } from 'react'
import { Link, NavLink, Route, Routes, useLocation, useNavigate } from 'react-router'
import { call } from './api.ts'
import { setBasket, useBasket } from './basket.ts'
import { useDark } from './dark.tsx'
import { comma } from './fields.ts'
import { anchorOf } from './help/anchor.ts'
import { useKeys } from './keys.ts'
import { roles } from './meta.ts'
import { HomePage } from './pages/home.tsx'
import { LanguageSwitch } from './parts/language-switch.tsx'
import { Waiting } from './parts/outcome.tsx'
import { PageBoundary } from './parts/page-boundary.tsx'
import { groups, places } from './places.ts'
import { useSession } from './session.tsx'
import { t, useWords } from './words.tsx'

const ListPage = lazy(() => import('./pages/list.tsx'))
const ObjectPage = lazy(() => import('./pages/object.tsx'))
const CatalogPage = lazy(() => import('./pages/catalog.tsx'))
const ResourcePage = lazy(() => import('./pages/resource.tsx'))
const RowsPage = lazy(() => import('./pages/rows.tsx'))
const ExcelPage = lazy(() => import('./pages/excel.tsx'))
const ApplyForOne = lazy(() => import('./pages/apply.tsx').then(({ ApplyForOne }) => ({ default: ApplyForOne })))
const BasketPage = lazy(() => import('./pages/apply.tsx').then(({ BasketPage }) => ({ default: BasketPage })))
const RegistrationPage = lazy(() => import('./pages/registration.tsx'))
const RegisterPage = lazy(() => import('./pages/register.tsx'))
const QueryPage = lazy(() => import('./pages/query.tsx'))
const SearchPage = lazy(() => import('./pages/search.tsx'))
const NoticesPage = lazy(() => import('./pages/notices.tsx'))
const AuditPage = lazy(() => import('./pages/audit.tsx'))
const SystemPage = lazy(() => import('./pages/system.tsx'))
const SettingsPage = lazy(() => import('./pages/settings.tsx'))
const AgentPage = lazy(() => import('./pages/agent.tsx'))
const StatisticsPage = lazy(() => import('./pages/statistics.tsx'))
const BoardPage = lazy(() => import('./pages/board.tsx'))
const FlowsPage = lazy(() => import('./pages/flows.tsx'))
const ImportPage = lazy(() => import('./pages/import.tsx'))
const CalendarsPage = lazy(() => import('./pages/calendars.tsx'))
const ClassificationsPage = lazy(() => import('./pages/classifications.tsx'))
const StandardPage = lazy(() => import('./pages/standard.tsx'))
const HelpPage = lazy(() => import('./pages/help.tsx'))
const AccountPage = lazy(() => import('./pages/account.tsx'))

export function Frame() {
  const { say } = useWords()
  const main = useRef<HTMLElement>(null)
  const fetching = useIsFetching()
  const client = useQueryClient()
  useEffect(() => {
    const live = import('./live.ts').then(({ startLive }) => startLive(client))
    return () => void live.then((stop) => stop())
  }, [client])
  const { pathname, search } = useLocation()
  // Who moves by keyboard or listens goes on in the new page.
  useEffect(() => main.current?.focus({ preventScroll: true }), [pathname])
  return (
    <>
      <a className="skip" href="#main">
        {say(t('跳到正文', 'Skip to the page'))}
      </a>
      <Header />
      <div className="body">
        <Side />
        {/* The address whose page this is: where the browser already names another, that one is still to be drawn. */}
        <main id="main" ref={main} tabIndex={-1} aria-busy={fetching > 0} data-at={pathname + search}>
          <PageBoundary at={pathname}>
            <Suspense fallback={<Waiting />}>
              <Routes>
                <Route path="/" element={<HomePage />} />
                <Route path="/catalog" element={<CatalogPage />} />
                <Route path="/resources/:id" element={<ResourcePage />} />
                <Route path="/resources/:id/rows" element={<RowsPage />} />
                <Route path="/resources/:id/excel" element={<ExcelPage />} />
                <Route path="/resources/:id/apply" element={<ApplyForOne />} />
                <Route path="/basket" element={<BasketPage />} />
                <Route path="/registrations/new" element={<RegisterPage />} />
                <Route path="/registrations/:id" element={<RegistrationPage />} />
                <Route path="/queries" element={<QueryPage />} />
                <Route path="/queries/:resource" element={<QueryPage />} />
                <Route path="/search" element={<SearchPage />} />
                <Route path="/notices" element={<NoticesPage />} />
                <Route path="/agents/:id" element={<AgentPage />} />
                <Route path="/flows" element={<FlowsPage />} />
                <Route path="/statistics" element={<StatisticsPage />} />
                <Route path="/board" element={<BoardPage />} />
                {(['people', 'agencies'] as const).map((path) => (
                  <Route key={path} path={`/${path}/import`} element={<ImportPage key={path} path={path} />} />
                ))}
                <Route path="/calendars" element={<CalendarsPage />} />
                <Route path="/classifications" element={<ClassificationsPage />} />
                <Route path="/standards/new" element={<StandardPage key="new" />} />
                <Route path="/standards/:id/change" element={<StandardPage key="change" />} />
                <Route path="/help" element={<HelpPage />} />
                <Route path="/account" element={<AccountPage />} />
                <Route path="/audit" element={<AuditPage />} />
                <Route path="/settings" element={<SettingsPage />} />
                <Route path="/system" element={<SystemPage />} />
                {places
                  .filter(({ path }) => path !== 'audit')
                  .map((place) => (
                    <Route key={place.path} path={`/${place.path}`} element={<ListPage key={place.path} place={place} />} />
                  ))}
                {places
                  .filter(({ kind }) => kind && kind !== 'registration' && kind !== 'resource' && kind !== 'agent')
                  .map((place) => (
                    <Route key={place.path} path={`/${place.path}/:id`} element={<ObjectPage kind={place.kind!} place={place} />} />
                  ))}
                <Route path="*" element={<NoPage />} />
              </Routes>
            </Suspense>
          </PageBoundary>
        </main>
      </div>
    </>
  )
}

/** An address that leads nowhere, and where to go on. */
function NoPage() {
  const { say } = useWords()
  return (
    <>
      <h1>{say(t('没有这个页面', 'There is no such page'))}</h1>
      <p>
        <Link to="/">{say(t('回到工作台', 'To what waits for me'))}</Link>
      </p>
    </>
  )
}

function Header() {
  const { say } = useWords()
  const { me, can } = useSession()
  const { isDark, setDark } = useDark()
  const navigate = useNavigate()
  const client = useQueryClient()
  const words = useRef<InputRef>(null)
  const { pathname } = useLocation()
  const help = `/help#${anchorOf(pathname)}`
  useKeys({
    '?': () => void navigate(help),
    '/': (event) => {
      // The key itself is not typed into it.
      event.preventDefault()
      words.current?.focus()
    },
  })
  const signOut = async () => {
    await call('session.close').catch(() => undefined)
    setBasket([])
    client.setQueryData(['session'], null)
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' })
    void navigate('/')
  }
  const own = me.roles.map((role) => (roles[role] ? say(roles[role]) : role)).join(say(comma))
  return (
    <header className="header">
      <span className="name">{say(t('前置 · 政务数据共享平台', 'Qianzhi · data sharing'))}</span>
      {can('search.all') && (
        <Input.Search
          ref={words}
          aria-label={say(t('全局检索', 'Search'))}
          placeholder={say(t('检索资源、事项、单位（按 /）', 'Data, cases, agencies (press /)'))}
          size="small"
          style={{ maxWidth: 320 }}
          onSearch={(text) => void (text.trim() !== '' && navigate(`/search?text=${encodeURIComponent(text.trim())}`))}
        />
      )}
      <span className="space" />
      <LanguageSwitch />
      <Button type="link" size="small" onClick={() => setDark(!isDark)}>
        {say(isDark ? t('浅色', 'Light') : t('深色', 'Dark'))}
      </Button>
      {can('application.create-many') && <InBasket />}
      <Unread />
      <NavLink
        to={help}
        className="help"
        aria-label={say(t('本页的帮助', 'Help for this page'))}
        title={say(t('本页的帮助', 'Help for this page'))}
      >
        ?
      </NavLink>
      <Dropdown
        trigger={['click']}
        menu={{
          items: [
            { key: 'account', label: say(t('个人中心', 'My account')), onClick: () => void navigate('/account') },
            { key: 'out', label: say(t('退出登录', 'Sign out')), onClick: () => void signOut() },
          ],
        }}
      >
        <Button type="text" size="small">
          {me.agencyName ?? ''} · {me.name} · {own}
        </Button>
      </Dropdown>
    </header>
  )
}

function InBasket() {
  const { say } = useWords()
  const basket = useBasket()
  return (
    <NavLink to="/basket">
      {say(t('申请篮', 'Basket'))} <span className="number">{basket.length > 0 ? basket.length : ''}</span>
    </NavLink>
  )
}

function Unread() {
  const { say } = useWords()
  const { can } = useSession()
  const { data } = useQuery({
    queryKey: ['notices', 'unread'],
    queryFn: () => call<{ unread: number }>('notice.list', { query: { unread: 'true', limit: '1' } }),
    enabled: can('notice.list'),
  })
  return (
    <NavLink to="/notices">
      <Badge count={data?.unread ?? 0} size="small" offset={[6, 0]}>
        {say(t('通知', 'Notices'))}
      </Badge>
    </NavLink>
  )
}

function Side() {
  const { say } = useWords()
  const { can, everywhere } = useSession()
  const { data } = useQuery({ queryKey: ['todo', 'counts'], queryFn: () => call<{ total: number }>('todo.counts') })
  const shown = groups.map(({ name, pages = [], places }) => ({
    name,
    pages: pages.filter(({ right }) => can(right)),
    places: places.filter(({ list }) => can(list)),
  }))
  return (
    <nav className="side" aria-label={say(t('主导航', 'Main'))}>
      <NavLink to="/" end>
        {say(t('工作台', 'My desk'))} <span className="number">{data && data.total > 0 ? data.total : ''}</span>
      </NavLink>
      {can('catalog.search') && <NavLink to="/catalog">{say(t('资源目录', 'Catalog'))}</NavLink>}
      {can('flow.list') && <NavLink to="/flows">{say(t('流向图', 'Flows'))}</NavLink>}
      {can('query.list') && <NavLink to="/queries">{say(t('数据查询', 'Query'))}</NavLink>}
      {shown
        .filter(({ pages, places }) => pages.length + places.length > 0)
        .map(({ name, pages, places }) => (
          <section key={name.en} aria-label={say(name)}>
            <h2>{say(name)}</h2>
            {pages.map((page) => (
              <NavLink key={page.path} to={`/${page.path}`}>
                {say(page.name)}
              </NavLink>
            ))}
            {places.map((place) => (
              <NavLink key={place.path} to={`/${place.path}`}>
                {say(!everywhere(place.list) && place.own ? place.own : place.name)}
              </NavLink>
            ))}
          </section>
        ))}
      <NavLink to="/help">{say(t('帮助', 'Help'))}</NavLink>
      {can('health.read') && <NavLink to="/system">{say(t('系统状况', 'System'))}</NavLink>}
      {can('settings.read') && <NavLink to="/settings">{say(t('设置', 'Settings'))}</NavLink>}
    </nav>
  )
}
