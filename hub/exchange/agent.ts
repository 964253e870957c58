/** Who sent a request: its signature was verified. */
export interface ExchangeAgent {
  id: string
  agency: string
  /** Ed25519, base64url. */
  publicKey: string
}
