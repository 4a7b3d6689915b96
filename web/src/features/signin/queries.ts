import { api, body, session } from '@/api/client'

export async function requestCode(email: string): Promise<void> {
  await body(api.POST('/api/v1/auth/request-otp', { body: { email } }))
}

export async function verifyCode(email: string, code: string): Promise<void> {
  session.begin(await body(api.POST('/api/v1/auth/verify-otp', { body: { email, code } })))
}
