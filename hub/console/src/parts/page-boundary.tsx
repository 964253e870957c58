/** A page that fails, or cannot be fetched since the hub was brought up to date meanwhile, leaves the frame around it standing. */
import { Button } from 'antd'
import { Component, type ReactNode } from 'react'
import { t, useWords } from '../words.tsx'

interface Props {
  /** Address of the page: another one is shown anew. */
  at: string
  children: ReactNode
}

interface State {
  failed: boolean
  at: string
}

export class PageBoundary extends Component<Props, State> {
  override state: State = { failed: false, at: this.props.at }

  static getDerivedStateFromError(): Partial<State> {
    return { failed: true }
  }

  static getDerivedStateFromProps({ at }: Props, state: State): State | null {
    return at === state.at ? null : { failed: false, at }
  }

  override render(): ReactNode {
    return this.state.failed ? <PageFailed /> : this.props.children
  }
}

function PageFailed() {
  const { say } = useWords()
  return (
    <div className="problem" role="alert">
      <strong>
        {say(
          t(
            '这一页没有打开：平台可能刚刚升级，或连接中断',
            'This page did not open: the platform may just have been brought up to date, or the connection is lost',
          ),
        )}
      </strong>
      <div className="muted">
        {say(t('重新载入后仍不能打开的，请告知系统运维人员', 'Where it does not open after that either, tell whoever runs the system'))}{' '}
        <Button size="small" onClick={() => location.reload()}>
          {say(t('重新载入', 'Load it again'))}
        </Button>
      </div>
    </div>
  )
}
