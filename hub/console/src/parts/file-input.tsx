import { t, useWords } from '../words.tsx'

interface Asked {
  /** What the file is for, up to the button. */
  label: string
  /** Ends of names: `.xlsx,.csv`. */
  accept: string
  disabled?: boolean
  take: (file: File) => void
}

/** A file is chosen, and the same one can be chosen again. */
export function FileInput({ label, accept, disabled = false, take }: Asked) {
  const { say } = useWords()
  return (
    <label className="file">
      {label}{' '}
      <span className="press" aria-hidden="true">
        {say(t('选择文件', 'Choose a file'))}
      </span>
      <input
        type="file"
        accept={accept}
        disabled={disabled}
        onChange={({ target }) => {
          if (target.files?.[0]) take(target.files[0])
          target.value = ''
        }}
      />
    </label>
  )
}
