/** Who sent a request: its signature was verified. */
export interface ExchangeAgent {
  id: string
  agency: string
  /** Ed25519, base64url. */
  publicKey: string
  /** When it signed the request, in milliseconds of the hub's time as it knows it, to the second. */
  signed?: number
}
